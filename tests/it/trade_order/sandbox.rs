//! trade_order against the sandbox.
