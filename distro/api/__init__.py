"""What every endpoint shares: errors, pages, idempotency, throttles, the schema's pages."""
