"""The pages: each turns a request into an operation, and what the operation says into a view for a template."""
