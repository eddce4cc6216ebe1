//! A list's rows as what they mean: each row stands or falls by itself, and one that falls is named by its place.

use crate::gateway::BadRow;

use super::fields::Strange;
use super::wire::Rows;

/// What the rows mean that can be read, and the others with where and why; `list` is the list's name in the answer.
pub(crate) fn read_each<T, M>(
    list: &str,
    rows: Rows<T>,
    meaning: impl Fn(T) -> Result<M, Strange>,
) -> (Vec<M>, Vec<BadRow>) {
    let (mut read, mut bad_rows) = (Vec::new(), Vec::new());
    // `Rows` keeps the places of the bad rows only: the good ones fill the others, in order.
    let mut bad = rows.bad.into_iter().peekable();
    let mut good = rows.rows.into_iter();
    for index in 0.. {
        if let Some(row) = bad.next_if(|row| row.index == index) {
            bad_rows.push(bad_row(list, index, &row.why));
            continue;
        }
        let Some(row) = good.next() else { break };
        match meaning(row) {
            Ok(meant) => read.push(meant),
            Err(Strange(why)) => bad_rows.push(bad_row(list, index, &why)),
        }
    }
    (read, bad_rows)
}

/// `total_cost: .. has more than two decimals` in row 3 becomes `objects[3].total_cost` and the reason.
fn bad_row(list: &str, index: usize, why: &str) -> BadRow {
    let (field, reason) = match (why.split_once(": "), why.strip_suffix(" is missing")) {
        (Some((field, reason)), _) => (field, reason),
        (None, Some(field)) => (field, "is missing"),
        (None, None) => ("", why),
    };
    let is_path =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.[]".contains(&b));
    if is_path(field) {
        BadRow { path: format!("{list}[{index}].{field}"), why: reason.to_owned() }
    } else {
        BadRow { path: format!("{list}[{index}]"), why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::wire;

    #[test]
    fn bad_rows_keep_their_places_between_good_ones() {
        let strange = |row: u8| match row {
            7 => Err(Strange::missing("id")),
            8 => Err(Strange("no field".to_owned())),
            row => Ok(row),
        };
        let bad = |index, why: &str| wire::BadRow { index, raw: serde_json::Value::Null, why: why.to_owned() };
        let rows = Rows {
            rows: vec![7, 8, 9],
            bad: vec![bad(0, "a.b: too long"), bad(2, "expected: `x y`: z")],
            bodies: vec![],
        };
        let (read, bad_rows) = read_each("objects", rows, strange);
        assert_eq!(read, [9]);
        let shown: Vec<String> = bad_rows.into_iter().map(|row| format!("{} | {}", row.path, row.why)).collect();
        assert_eq!(
            shown,
            [
                "objects[0].a.b | too long",
                "objects[1].id | is missing",
                "objects[2].expected | `x y`: z",
                "objects[3] | no field",
            ]
        );
    }
}
