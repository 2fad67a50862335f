"""What a job's requirements stand for, gathered as wheels; no login of theirs gets into anything.

prepared.py  copies of the requirements files without logins     gather.py  wheels, by pip
"""
