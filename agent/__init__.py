"""Your own code: the handlers of your jobs, and your agent. It is deployed with every function that needs it."""
