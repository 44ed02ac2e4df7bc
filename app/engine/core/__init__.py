"""The loop over token ids: sequences, slots, batches, prefill and decode; without text or native libraries."""
