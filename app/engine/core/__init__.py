"""The loop over token ids: sequences, slots, batches, prefill and decode. Knows no text and no native library."""
