"""One HTTP POST to the public internet: the sender, its connections, and the guard of addresses.

It knows URLs and bytes, but no target and no event. `targets`, `deliveries` and `api` may import it.
"""
