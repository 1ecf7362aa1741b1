"""Deployment: the table of functions, staging, the steps that gcloud takes, and how a deployment is examined.

command.py     one run: its steps, its end, how to continue;  command_line.py
steps.py       each verb as a list of steps
setup.py       the steps, by what they are about: the project,
functions.py   functions and their Scheduler jobs,
monitoring.py  metrics, dashboard and alerts,
operating.py   and what is done to an existing deployment;  smoke/  tries it
work.py        what all steps share;  gcloud.py  runs gcloud;  patience.py  retries what is refused at first
preflight.py   what is refused before the first change
found.py       what else is deployed in the project: other deployments, and what was removed from the table
deployment.py  what is deployed, from functions_table.py and a settings file;  flags.py  for gcloud;  staging.py
checks.py      what should exist, as questions (problems.py) with remedies (remedies.py);  function_checks.py
asking.py      asks gcloud;  plan.py  and, for `watchkeeper doctor`,  examination.py  say what the answers mean
deployer.py    the role of a build that deploys
"""
