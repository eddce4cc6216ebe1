//! The `tillbook.toml` that points at a sandbox.

use super::Sandbox;
use super::json::Json;

impl Sandbox {
    /// A `tillbook.toml` with three accounts on this sandbox (`shop-1` fubei, `shop-2` trade_order, `shop-3`
    /// hydrogen), its fake secrets in plain text. `data` is the ledger's directory.
    pub fn config_toml(&self, data: &str) -> String {
        let base_url = toml_text(&self.base_url());
        let known = self.credentials();
        format!(
            "# Accounts on a tillbook sandbox; none of these secrets opens anything else.\n\
             # Its books: {control}/sandbox/books\n\
             data = {data}\n\
             device = \"till-1\"\n\
             \n\
             [accounts.shop-1]\n\
             gateway = \"fubei\"\n\
             base_url = {base_url}\n\
             app_id = {app_id}\n\
             secret = {secret}\n\
             \n\
             [accounts.shop-2]\n\
             gateway = \"trade_order\"\n\
             base_url = {base_url}\n\
             token = {trade_order_token}\n\
             \n\
             [accounts.shop-3]\n\
             gateway = \"hydrogen\"\n\
             base_url = {base_url}\n\
             client_id = {client_id}\n\
             token = {hydrogen_token}\n\
             refund_function = {function_name}\n\
             function_secret = {function_secret}\n\
             orders = \"function\"\n\
             calls_per_minute = 6000  # nobody else uses a sandbox; by default hydrogen is asked 20 times a minute\n",
            control = self.control_url(),
            data = toml_text(data),
            app_id = toml_text(&known.fubei_app_id),
            secret = toml_text(&known.fubei_secret),
            trade_order_token = toml_text(&known.trade_order_token),
            client_id = toml_text(&known.hydrogen_client_id),
            hydrogen_token = toml_text(&known.hydrogen_token),
            function_name = toml_text(&known.function_name),
            function_secret = toml_text(&known.function_secret),
        )
    }
}

/// A TOML basic string: the escapes of a JSON string are a subset of TOML's.
fn toml_text(text: &str) -> String {
    Json::from(text).text()
}
