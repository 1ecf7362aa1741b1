"""The smoke test: each function is called as it always is, and has to do its work. What that leaves unproved is said.

scheduler.py   what Cloud Scheduler calls: a renewal must succeed, and what runs people's code must run a job
queue.py       each queue must deliver a job that runs
chat.py        what Chat calls must refuse an unsigned event
trial.py       the job of the test;  waiting.py  which answers are waited for
"""
