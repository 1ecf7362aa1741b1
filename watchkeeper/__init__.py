"""What runs on the operator's machine and is never deployed: the command, deployment, the local run, the console."""
