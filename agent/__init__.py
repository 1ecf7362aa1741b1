"""Your own code: what your jobs do, and how your agent answers. It is deployed with every function that needs it."""
