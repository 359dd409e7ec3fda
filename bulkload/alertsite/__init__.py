"""The AlertSite Management API v3: one client, what its answers mean, and the pace of its requests.

In: bodies as JSON, monitor IDs, credentials. Out: monitors as the API shows them, or an `ApiError` that says what it
proves. May import: nothing of bulkload but `errors` and `clock`.
"""
