"""The JSON API and the page: HTTP API events in, answers out (design section 7).

webhooks_api alone imports it. It may import every room.
"""
