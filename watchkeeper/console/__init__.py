"""The console: a page that shows the jobs, the ticks and the subscriptions of a system."""
