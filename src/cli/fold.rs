//! Lists that fit the terminal: a table where it is wide enough, else rows whose long words stand on lines of their own.
//!
//! A number that is broken over four lines can neither be read out nor copied. Where nobody watches, a list is always
//! the table: programs cut it by columns.

use std::io::IsTerminal;

use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::table::text;

/// How a list folds: its first columns go above each row, its last ones below.
pub(crate) struct Folds {
    /// How many of the first columns name the row.
    pub(crate) above: usize,
    /// How many of the last columns are remarks.
    pub(crate) below: usize,
}

/// The list as wide as stdout's terminal, if it is one.
pub(crate) fn list<const N: usize>(header: [&str; N], rows: Vec<[Cell; N]>, folds: Folds) -> String {
    let width = std::io::stdout().is_terminal().then(|| Table::new().width()).flatten();
    fitted(header, rows, folds, width)
}

fn fitted<const N: usize>(header: [&str; N], rows: Vec<[Cell; N]>, folds: Folds, width: Option<u16>) -> String {
    let mut table = bare(header.map(str::to_owned).to_vec());
    table.add_rows(rows.iter().map(|row| row.to_vec()));
    let needed: u16 = table.column_max_content_widths().iter().map(|column| column + 2).sum();
    // The margin of the first column is cut off, and the last one's is blank.
    if width.is_none_or(|width| needed <= width + 2) {
        return text(&table);
    }
    let columns = folds.above..N.saturating_sub(folds.below);
    // The Chinese word under ours, and every row on one line: only so is it known where a row begins.
    let mut table = bare(header[columns.clone()].iter().map(|word| two_lines(word)).collect());
    table.add_rows(rows.iter().map(|row| row[columns.clone()].to_vec()));
    let all = text(&table);
    let lines: Vec<&str> = all.lines().collect();
    let (head, body) = lines.split_at(lines.len().saturating_sub(rows.len()));
    let mut folded = vec![header[..columns.start].join("  ")];
    folded.extend(head.iter().map(|line| format!("  {line}")));
    for (row, line) in rows.iter().zip(body) {
        let words = |cells: &[Cell]| cells.iter().map(Cell::content).filter(|word| !is_empty(word)).collect::<Vec<_>>();
        folded.push(words(&row[..columns.start]).join("  "));
        folded.push(format!("  {line}"));
        let remarks = words(&row[columns.end..]);
        if !remarks.is_empty() {
            folded.push(format!("  {}", remarks.join(" · ")));
        }
    }
    folded.join("\n")
}

fn two_lines(header: &str) -> String {
    header.rsplit_once(' ').map_or_else(|| header.to_owned(), |(ours, chinese)| format!("{ours}\n{chinese}"))
}

fn is_empty(word: &str) -> bool {
    matches!(word, "" | "-")
}

fn bare(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).set_content_arrangement(ContentArrangement::Disabled);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::amount;

    fn refunds(width: Option<u16>) -> String {
        let fen = |fen| amount(tillbook::Money::from_fen(fen).expect("in range"));
        let rows = vec![
            [Cell::new("shop-1:20170601"), fen(1250), Cell::new("in_doubt 结果未知"), Cell::new("-"), Cell::new("cut")],
            [Cell::new("shop-2:E01"), fen(8000), Cell::new("queued 待发送"), Cell::new("-"), Cell::new("")],
        ];
        let header = ["ORDER 订单", "AMOUNT 金额", "STATE 状态", "UPSTREAM NO.", "NOTE"];
        fitted(header, rows, Folds { above: 1, below: 2 }, width)
    }

    #[test]
    fn a_list_is_a_table_where_it_fits_and_where_nobody_watches() {
        let table = "\
ORDER 订单       AMOUNT 金额  STATE 状态         UPSTREAM NO.  NOTE
shop-1:20170601        12.50  in_doubt 结果未知  -             cut
shop-2:E01             80.00  queued 待发送      -";
        assert_eq!(refunds(None), table);
        assert_eq!(refunds(Some(67)), table);
    }

    #[test]
    fn a_list_that_is_too_wide_breaks_no_number() {
        assert_eq!(
            refunds(Some(66)),
            "\
ORDER 订单
  AMOUNT  STATE
  金额    状态
shop-1:20170601
   12.50  in_doubt 结果未知
  cut
shop-2:E01
   80.00  queued 待发送"
        );
    }
}
