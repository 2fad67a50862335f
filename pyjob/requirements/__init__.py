"""Requirements files, read as pip reads them.

files.py  a file and those that it includes     line.py  one line: what it asks for, and its options
requirement.py  a distribution that is asked for
"""
