"""The native dialect: messages as msgpack arrays, in frames, with large buffers beside them."""
