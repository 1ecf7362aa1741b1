"""Deployment: the table of functions, staging, the steps that gcloud takes, and how a deployment is examined.

command.py     the command line, and one run: its steps, its end, how to go on
steps.py       each verb as a list of steps
setup.py       the steps, by what they are about: the project,
functions.py   functions and their Scheduler jobs,
monitoring.py  metrics, dashboard and alerts,
operating.py   and what is done to a deployment that is there;  smoke/  tries it
work.py        what all steps share;  gcloud.py  runs gcloud;  patience.py  waits for what it is refused at first
preflight.py   what is refused before the first change
found.py       what else is deployed in the project: by other deployments, and by this one with a former table
deployment.py  what is deployed, worked out from functions_table.py and a settings file;  staging.py
checks.py      what there should be, as questions (problems.py), with what to do (remedies.py); function_checks.py
asking.py      asks gcloud;  plan.py  and, for `watchkeeper doctor`,  examination.py  say what the answers mean
deployer.py    the role of a build that deploys
"""
