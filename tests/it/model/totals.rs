//! What the upstream's total of refunds says about who made them.
//!
//! S is ours, R the upstream's total, U what may or may not have been executed. With U empty, R - S was made elsewhere.
//! Otherwise what exceeds all of U was; the rest is U where some of it adds up to exactly that and nobody else
//! refunds, and else it stays open and is granted to nobody.

use tillbook::domain::RefundState;

use super::order::{Order, Refund};

/// How old a total is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Asked for after all that is known: it may lower what was made elsewhere.
    JustNow,
    /// It may only raise it.
    Before,
}

/// Made elsewhere, and open.
pub(super) fn told(order: &Order, sole: bool, read: Read) -> (i64, i64) {
    let Some(total) = order.said.refunded else { return (order.external, order.unsettled) };
    let not_ours = (total - order.ours()).max(0);
    if order.calm() {
        let behind = total < order.ours();
        let may_lower = read == Read::JustNow && !behind;
        return (if may_lower { not_ours } else { not_ours.max(order.external) }, 0);
    }
    let moved = (not_ours - order.calm_external).max(0);
    let certain = (moved - order.sum(Refund::in_u)).max(0);
    let external = order.external.max(order.calm_external + certain);
    let open = (not_ours - external).max(0);
    let puzzle = Puzzle::of(order, total, external);
    let explained = puzzle.open == 0 || (sole && puzzle.solved_with(&[]));
    (external, if explained { 0 } else { open })
}

/// Whether the total proves that this refund was executed: whatever adds up has it in it.
pub(super) fn proves(order: &Order, sole: bool, key: &str) -> bool {
    let known_before = |refund: &Refund| refund.key == key && refund.in_u() && refund.total_before.is_some();
    let (Some(total), Some(position)) = (order.said.refunded, order.refunds.iter().position(known_before)) else {
        return false;
    };
    let puzzle = Puzzle::of(order, total, order.external);
    let solved = puzzle.open > 0 && puzzle.solved_with(&[]);
    sole && !order.external_seen && solved && !puzzle.solved_with(&[position])
}

/// Which refunds add up to what the total shows beyond what is known?
struct Puzzle<'a> {
    order: &'a Order,
    open: i64,
    /// Those that may be in the total, by position: in doubt, or succeeded after it was asked for.
    pieces: Vec<usize>,
    /// How many the upstream counts, if it does.
    room: Option<i64>,
}

impl Puzzle<'_> {
    fn of(order: &Order, total: i64, external: i64) -> Puzzle<'_> {
        let late = |refund: &Refund| refund.state == RefundState::Succeeded && refund.state_at >= order.said.asked_at;
        let known = order.ours() - order.sum(late);
        let open = ((total - known).max(0) - external).max(0);
        let late_count = order.refunds.iter().filter(|refund| late(refund)).count() as i64;
        let room = order.said.count.zip(order.calm_count).map(|(now, calm)| {
            let since = (now - (calm - late_count).max(0)).max(0);
            let elsewhere = if external > order.calm_external { 1 } else { 0 };
            (since - elsewhere).max(0)
        });
        let fits = |position: &usize| order.refunds[*position].in_u() || late(&order.refunds[*position]);
        Puzzle { order, open, pieces: (0..order.refunds.len()).filter(fits).collect(), room }
    }

    /// Whether some pieces add up, none of those left out among them.
    fn solved_with(&self, left_out: &[usize]) -> bool {
        let pieces: Vec<i64> = self
            .pieces
            .iter()
            .filter(|position| !left_out.contains(position))
            .map(|position| self.order.refunds[*position].amount)
            .collect();
        let most = self.room.unwrap_or(i64::MAX);
        // Past 16 pieces nobody tries.
        self.pieces.len() <= 16 && adds_up(&pieces, self.open, most)
    }
}

fn adds_up(pieces: &[i64], open: i64, most: i64) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return open == 0 };
    adds_up(rest, open, most) || (most > 0 && open >= *first && adds_up(rest, open - first, most - 1))
}
