"""AWS as every room uses it: clients, settings, batches of SQS records, metrics, DynamoDB items and pages.

Nothing here uses a word of the domain. Every room may import it; it imports none.
"""
