"""AWS Backup: publishes its jobs and plans, read from EventBridge events and from its API."""
