"""One HTTP POST to the public internet: the sender, its connections, and the address guard.

It handles URLs and bytes, and knows neither targets nor events. `targets`, `deliveries` and `api` may import it.
"""
