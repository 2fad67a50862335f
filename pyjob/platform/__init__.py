"""Several jobs behind one port, for developing jobs that call one another (docs/platform.md).

platform.py   their life, from the first process to the last
front.py      the port: which job is meant, and pages of our own
relay.py      the bytes of a request and its answer     head.py    the head of a request
pages.py      the index, for people and programs        directory.py  jobs by name and version
child.py      a job's process                           output.py  what the processes print
hosted.py     what is known of a job before it runs
"""
