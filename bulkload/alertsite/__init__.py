"""The AlertSite Management API v3: one client, the meaning of its responses, and the pacing of requests.

In: bodies as JSON, monitor IDs, credentials. Out: monitors as the API shows them, or an `ApiError` whose class says
what is known. May import: nothing of bulkload but `errors`, `clock` and `protocols`.
"""
