"""Stores: one entity each, between DynamoDB's items and the domain's values. They decide nothing."""
