"""Deployment: the table of functions, staging, what gcloud is told, and how a deployment is examined."""
