"""The page: what people see of the service, rendered from the functions that the JSON operations are made of."""
