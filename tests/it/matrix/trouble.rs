//! What goes wrong with a refund, and what each upstream can prove about it afterwards.

use std::time::Duration;

use tillbook::sandbox::{FaultKind, Settlement, Upstream};

/// What goes wrong. "Done" means that the upstream's money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing does.
    None,
    DropBefore,
    DropAfter,
    LandsLate,
    /// Done in time, answered too late.
    AnsweredLate,
    /// Done too late, and answered to nobody.
    DoneLate,
    ServerErrorBefore,
    ServerErrorAfter,
    GarbageAfter,
    TruncatedAfter,
    /// Refused by the upstream's own words, before anything.
    Refused,
    /// Taken, and refused in the end.
    Fails,
    /// The upstream's 10003 (hydrogen: the function's failure), after the money moved.
    CodeAfter,
    /// The same, and the upstream's own books do not know that the money moved.
    Unrecorded,
    Stuck,
    StuckThenDone,
    StuckThenFails,
    /// Done, the answer lost; somebody else refunds another amount meanwhile.
    ElsewhereBesideDone,
    /// Done, the answer lost; somebody else refunds the same amount meanwhile.
    SameElsewhereBesideDone,
    /// Not done; somebody else refunds the same amount meanwhile.
    SameElsewhereBesideLost,
}

/// What our refund is about.
pub(super) const OURS_FEN: i64 = 3_000;

/// How late things happen: long after the client has given up.
pub(super) const LATE: Duration = Duration::from_millis(1_200);

/// Where a trouble of lateness is at hand, the client gives up after this.
const PATIENCE: Duration = Duration::from_millis(500);

impl Trouble {
    pub(super) const ALL: [Trouble; 20] = [
        Trouble::None,
        Trouble::DropBefore,
        Trouble::DropAfter,
        Trouble::LandsLate,
        Trouble::AnsweredLate,
        Trouble::DoneLate,
        Trouble::ServerErrorBefore,
        Trouble::ServerErrorAfter,
        Trouble::GarbageAfter,
        Trouble::TruncatedAfter,
        Trouble::Refused,
        Trouble::Fails,
        Trouble::CodeAfter,
        Trouble::Unrecorded,
        Trouble::Stuck,
        Trouble::StuckThenDone,
        Trouble::StuckThenFails,
        Trouble::ElsewhereBesideDone,
        Trouble::SameElsewhereBesideDone,
        Trouble::SameElsewhereBesideLost,
    ];

    /// Whether the upstream can get into it: Fubei's books know of every refund.
    pub(super) fn can_happen(self, upstream: Upstream) -> bool {
        !(self == Trouble::Unrecorded && upstream == Upstream::Fubei)
    }

    /// The sandbox's fault of the first sending.
    pub(super) fn fault(self, upstream: Upstream) -> Option<FaultKind> {
        Some(match self {
            Trouble::None => return None,
            Trouble::DropBefore | Trouble::SameElsewhereBesideLost => FaultKind::DropBefore,
            Trouble::DropAfter | Trouble::ElsewhereBesideDone | Trouble::SameElsewhereBesideDone => {
                FaultKind::DropAfter
            }
            Trouble::LandsLate => FaultKind::LandsLate(LATE),
            Trouble::AnsweredLate => FaultKind::Delay(LATE),
            Trouble::DoneLate => FaultKind::DelayBefore(LATE),
            Trouble::ServerErrorBefore => FaultKind::HttpBefore(500),
            Trouble::ServerErrorAfter => FaultKind::HttpAfter(500),
            Trouble::GarbageAfter => FaultKind::Garbage,
            Trouble::TruncatedAfter => FaultKind::Truncated,
            Trouble::Refused => FaultKind::CodeBefore(match upstream {
                Upstream::Fubei => 400,
                Upstream::TradeOrder => 12_063,
                Upstream::Hydrogen => 1,
            }),
            Trouble::Fails => FaultKind::Fails,
            Trouble::CodeAfter => FaultKind::CodeAfter(10_003),
            Trouble::Unrecorded => FaultKind::Unrecorded,
            Trouble::Stuck | Trouble::StuckThenDone | Trouble::StuckThenFails => FaultKind::Stuck,
        })
    }

    /// What somebody else refunds while ours is on its way.
    pub(super) fn elsewhere_fen(self) -> Option<i64> {
        match self {
            Trouble::ElsewhereBesideDone => Some(2_000),
            Trouble::SameElsewhereBesideDone | Trouble::SameElsewhereBesideLost => Some(OURS_FEN),
            _ => None,
        }
    }

    /// How what is stuck ends after a while, if it does.
    pub(super) fn settlement(self) -> Option<Settlement> {
        match self {
            Trouble::StuckThenDone => Some(Settlement::Succeeded),
            Trouble::StuckThenFails => Some(Settlement::Failed),
            _ => None,
        }
    }

    /// Whether the request is carried out long after the client has gone.
    pub(super) fn lands_late(self) -> bool {
        matches!(self, Trouble::LandsLate | Trouble::DoneLate)
    }

    /// How long the client waits for an answer.
    pub(super) fn timeout(self) -> Duration {
        if self.lands_late() || self == Trouble::AnsweredLate { PATIENCE } else { Duration::from_secs(5) }
    }

    /// Whether a first sending that arrives moves the money, sooner or later.
    pub(super) fn moves_money(self) -> bool {
        match self {
            Trouble::DropBefore
            | Trouble::ServerErrorBefore
            | Trouble::Refused
            | Trouble::Fails
            | Trouble::Stuck
            | Trouble::StuckThenFails
            | Trouble::SameElsewhereBesideLost => false,
            Trouble::None
            | Trouble::DropAfter
            | Trouble::LandsLate
            | Trouble::AnsweredLate
            | Trouble::DoneLate
            | Trouble::ServerErrorAfter
            | Trouble::GarbageAfter
            | Trouble::TruncatedAfter
            | Trouble::CodeAfter
            | Trouble::Unrecorded
            | Trouble::StuckThenDone
            | Trouble::ElsewhereBesideDone
            | Trouble::SameElsewhereBesideDone => true,
        }
    }

    /// Whether the upstream can prove that a refund was executed which was. trade_order knows no number of ours: what it
    /// shows is proof only where nobody else refunds the order. What hydrogen's function began and never wrote down
    /// shows in the order's total alone, and the total before it was unknown.
    pub(super) fn execution_is_provable(self, upstream: Upstream) -> bool {
        match upstream {
            Upstream::Fubei => true,
            Upstream::TradeOrder => self.elsewhere_fen().is_none(),
            Upstream::Hydrogen => self != Trouble::Unrecorded,
        }
    }

    /// Whether hydrogen's door can be shut on the first sending, or the sending is known to be done: then the refund ends
    /// executed, whatever was lost. What the function has begun cannot be shut out.
    pub(super) fn hydrogen_always_pays(self) -> bool {
        !matches!(self, Trouble::Fails | Trouble::Stuck | Trouble::StuckThenFails | Trouble::Unrecorded)
    }
}
