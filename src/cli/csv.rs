//! CSV for bookkeepers: RFC 4180, in UTF-8, and safe to open in a spreadsheet.

/// Rows as CSV, each ended by CR LF; a field that holds a comma, a quote or a line end is quoted.
pub(crate) fn rows<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    rows.into_iter().map(|row| format!("{}\r\n", row.map(|text| field(&text)).join(","))).collect()
}

/// A spreadsheet runs what begins with one of these as a formula, and words here may come from an upstream: such a
/// field gets an apostrophe before it, as OWASP's page on CSV injection advises.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n', '\t', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_none_is_a_formula() {
        for (text, want) in [
            ("", ""),
            ("80.00", "80.00"),
            ("已支付", "已支付"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "\"'=1+1\""),
            ("+8613800000000", "\"'+8613800000000\""),
            ("-2", "\"'-2\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "\"'＝1\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
        ] {
            assert_eq!(field(text), want, "{text:?}");
        }
        assert_eq!(rows([["a", "b"], ["1", ""]].map(|row| row.map(str::to_owned))), "a,b\r\n1,\r\n");
    }
}
