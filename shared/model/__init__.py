"""Pure values: the job and its life, recurrence, and schedules in words. Nothing here reads a clock or a store."""
