//! The one task that writes: takes what waits, decides it as a group, commits it at once, answers all.
//!
//! A group holds the ledger's row from its first round trip to its commit, so the groups of all processes come one after
//! the other and each decides on the newest there is. What limits a process that sends its holds one by one is shared
//! here by all that wait: the round trips and the server's sync are paid once a group.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::super::StorageError;
use super::ahead::{Ahead, Worth};
use super::command::{self, Command, Given, gather, gather_more, refuse};
use super::commits;
use super::connect::Connector;
use super::deciding::{decide, foreseen};
use super::fetched::Fetched;
use super::link::{Held, Link};
use super::open::PostgresOptions;
use super::trouble::Trouble;
use crate::domain::DeviceName;

/// How long a group is tried again.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Writer {
    connector: Arc<Connector>,
    device: DeviceName,
    lease: Duration,
    /// The last sequence that is known to be committed.
    newest: watch::Sender<u64>,
    link: Option<Link>,
    commands: mpsc::Receiver<Command>,
    /// The first command that does not share the commit of the group before it.
    left_over: Option<Command>,
    /// Whether reading ahead is worth it.
    worth: Worth,
    /// The last sequence that this process wrote.
    own: u64,
    /// Why nothing is written any more, once a defect was met.
    poisoned: Option<String>,
}

/// A group that was decided and handed to the server.
struct Done {
    answers: Vec<Given>,
    sequence: u64,
    /// When its commit was begun, by the server's clock.
    begun: jiff::Timestamp,
}

impl Writer {
    pub(super) fn new(
        connector: Arc<Connector>,
        options: &PostgresOptions,
        newest: watch::Sender<u64>,
        commands: mpsc::Receiver<Command>,
    ) -> Writer {
        let (device, lease) = (options.device.clone(), options.lease);
        let (link, left_over, poisoned, worth, own) = (None, None, None, Worth::default(), 0);
        Writer { connector, device, lease, newest, link, commands, left_over, worth, own, poisoned }
    }

    /// Works until it is told to close, or nobody can tell it anything any more.
    pub(super) async fn run(mut self) {
        loop {
            let first = match self.left_over.take() {
                Some(first) => first,
                None => match self.commands.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            if let Command::Close(answer) = first {
                self.commands.close();
                self.link = None;
                let _ = answer.send(());
                return;
            }
            let (group, next) = gather(first, &mut self.commands);
            self.left_over = next;
            self.write(group).await;
        }
    }

    async fn write(&mut self, mut group: Vec<Command>) {
        if let Some(why) = &self.poisoned {
            return refuse(group, &|| StorageError::Poisoned { why: why.clone() });
        }
        let id = Uuid::now_v7();
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_secs(1))
            .with_jitter()
            .without_max_times()
            .with_total_delay(Some(PATIENCE))
            .build();
        // What an earlier try decided whose commit was not answered.
        let mut undecided: Option<Done> = None;
        let error = loop {
            let error = match self.attempt(&mut group, id, &mut undecided).await {
                Ok(done) => return self.answer(group, done),
                Err(Trouble::Failed(error)) => break error,
                Err(Trouble::Again(error) | Trouble::Unknown(error)) => error,
            };
            self.link = None;
            match waits.next() {
                // A server that is away is left alone a little longer each time, up to a second.
                Some(wait) => tokio::time::sleep(wait).await,
                None => break error,
            }
        };
        self.link = None;
        if let (StorageError::BadExport { .. } | StorageError::Broken(_), [Command::History(..)]) = (&error, &*group) {
            return command::answer(group, vec![Given::History(Err(error))]);
        }
        tracing::error!(%error, "the server could not be written to");
        let why = match (error, undecided) {
            (StorageError::Poisoned { why }, _) => {
                refuse(group, &|| StorageError::Poisoned { why: why.clone() });
                self.poisoned = Some(why);
                return;
            }
            (StorageError::DiskFull { path }, _) => {
                return refuse(group, &|| StorageError::DiskFull { path: path.clone() });
            }
            (error, None) => format!("nothing was written: {error}"),
            (error, Some(_)) => format!("whether it was written is not known: {error}"),
        };
        refuse(group, &|| StorageError::Remote { doing: "write to", why: why.clone() });
    }

    /// One try to write a group. A commit whose answer was lost is looked for first.
    async fn attempt(
        &mut self,
        group: &mut Vec<Command>,
        id: Uuid,
        undecided: &mut Option<Done>,
    ) -> Result<Done, Trouble> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.connector).await?,
        };
        let link = self.link.insert(link);
        let (mut fetched, mut ahead) = (Fetched::default(), Ahead::default());
        // Not where an earlier try may have been committed: its answers are for those who were in it.
        let may_grow = undecided.is_none() && !matches!(**group, [Command::History(..)]);
        if may_grow && self.worth.while_for(group.len()) {
            loop {
                let lacking = ahead.lacks(&foreseen(group).orders);
                if lacking.is_empty() {
                    break;
                }
                link.read_ahead(lacking, &mut ahead).await?;
                if self.left_over.is_none() {
                    self.left_over = gather_more(group, &mut self.commands);
                }
            }
        }
        let asked = foreseen(group);
        let Held { sequence, at, is_done, changed } = link.begin(id, &asked, &ahead, &mut fetched).await?;
        self.worth.seen(sequence != self.own, ahead.len(), changed);
        if is_done {
            link.roll_back().await?;
            let lost = || StorageError::Poisoned { why: "a commit has this one's id".to_owned() };
            return undecided.take().ok_or_else(|| Trouble::Failed(lost()));
        }
        if undecided.as_ref().is_some_and(|earlier| !commits::may_be_looked_up(earlier.begun, at)) {
            link.roll_back().await?;
            let why = "its answer was lost, and this process stood still for too long since".to_owned();
            return Err(Trouble::Failed(StorageError::Remote { doing: "commit to", why }));
        }
        // Who came while the ledger was another's joins, or a group would be as small as when it began to wait.
        let so_far = group.len();
        if may_grow && self.left_over.is_none() {
            self.left_over = gather_more(group, &mut self.commands);
        }
        if group.len() > so_far {
            link.fetch(&foreseen(&group[so_far..]), &Ahead::default(), &mut fetched).await?;
        }
        // It ends: what was fetched is not asked for again.
        loop {
            match decide(group, &fetched, &self.device, sequence) {
                Ok((change, answers)) => {
                    let sequence = change.sequence;
                    if change.is_empty() {
                        link.roll_back().await?;
                        return Ok(Done { answers, sequence, begun: at });
                    }
                    let written = change.rows(&fetched, &self.device, self.lease);
                    *undecided = Some(Done { answers, sequence, begun: at });
                    link.commit(&written).await.inspect_err(|trouble| {
                        if !matches!(trouble, Trouble::Unknown(_)) {
                            *undecided = None;
                        }
                    })?;
                    return Ok(undecided.take().expect("it was put there"));
                }
                Err(error) => {
                    let missing = fetched.missing();
                    if missing.is_empty() {
                        return Err(Trouble::Failed(error));
                    }
                    link.fetch(&missing, &Ahead::default(), &mut fetched).await?;
                }
            }
        }
    }

    fn answer(&mut self, group: Vec<Command>, done: Done) {
        self.own = done.sequence;
        self.newest.send_if_modified(|newest| {
            let grows = *newest < done.sequence;
            *newest = done.sequence.max(*newest);
            grows
        });
        command::answer(group, done.answers);
    }
}
