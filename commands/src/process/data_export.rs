//! `DataExport`: has a copy of everything made, gives up what takes too long, tells its owner, and removes it in time (U25).

use atelier_domain::account::AccountEvent;
use atelier_domain::policy::account::{EXPORT_DEADLINE, EXPORTS_KEPT};
use atelier_domain::{AccountId, Envelope, ExportId, LogEvent};
use chrono::TimeDelta;

use super::{ProcessManager, Reaction, Work};
use crate::notice_topic::NoticeTopic;

/// When the files of a copy that was given up are removed: whoever was still making it has ended by then.
const LATE: TimeDelta = TimeDelta::hours(1);

/// The process manager. It remembers which copies of an account are there, oldest first.
pub struct DataExport;

fn concerned(event: &Envelope) -> Option<(AccountId, &AccountEvent)> {
    match &event.event {
        LogEvent::Account(
            account,
            what @ (AccountEvent::DataExportRequested { .. }
            | AccountEvent::DataExportReady { .. }
            | AccountEvent::DataExportFailed { .. }
            | AccountEvent::AccountErased { .. }),
        ) => Some((*account, what)),
        LogEvent::Account(..) | LogEvent::CreditLedger(..) | LogEvent::Generation(..) => None,
    }
}

impl ProcessManager for DataExport {
    const NAME: &'static str = "DataExport";
    type State = Vec<ExportId>;

    fn instance(event: &Envelope) -> Option<String> {
        concerned(event).map(|(account, _)| account.to_string())
    }

    fn react(state: Option<Vec<ExportId>>, event: &Envelope) -> Reaction<Vec<ExportId>> {
        let Some((account, what)) = concerned(event) else { return Reaction { state, work: Vec::new() } };
        let (now, mut kept) = (event.decided_at, state.unwrap_or_default());
        let told = |topic, export: ExportId| Work::PostNotice { account, topic, about: Some(export.0), at: now };
        let work = match what {
            AccountEvent::DataExportRequested { export_id: export } => vec![
                Work::BuildDataExport { account, export: *export },
                Work::GiveUpDataExport { account, export: *export, at: now + EXPORT_DEADLINE },
            ],
            AccountEvent::DataExportReady { export_id: export, expires_at } => {
                kept.push(*export);
                let over = kept.len().saturating_sub(EXPORTS_KEPT);
                let room = kept.drain(..over).map(|export| Work::RemoveDataExport { account, export, at: now });
                let mut work: Vec<Work> = room.collect();
                work.extend([
                    told(NoticeTopic::DataExportReady, *export),
                    Work::SendDataExportMail { account, export: *export, expires_at: Some(*expires_at) },
                    Work::RemoveDataExport { account, export: *export, at: *expires_at },
                ]);
                work
            }
            AccountEvent::DataExportFailed { export_id: export } => vec![
                told(NoticeTopic::DataExportFailed, *export),
                Work::SendDataExportMail { account, export: *export, expires_at: None },
                Work::RemoveDataExport { account, export: *export, at: now + LATE },
            ],
            // The erasure takes the files.
            AccountEvent::AccountErased { .. } => {
                kept.clear();
                Vec::new()
            }
            _ => Vec::new(),
        };
        Reaction { state: (!kept.is_empty()).then_some(kept), work }
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::{Actor, EventId, EventMetadata};
    use chrono::{DateTime, Utc};
    use uuid::Uuid;

    use super::*;

    const OWNER: AccountId = AccountId(Uuid::from_u128(1));

    fn export(n: u128) -> ExportId {
        ExportId(Uuid::from_u128(n))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
    }

    fn happens(event: AccountEvent) -> Envelope {
        let id = Uuid::from_u128(99);
        let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: id };
        let (now, event) = (at(0), LogEvent::Account(OWNER, event));
        Envelope { position: 1, event_id: EventId(id), sequence: 1, decided_at: now, recorded_at: now, metadata, event }
    }

    fn ready(n: u128) -> Envelope {
        happens(AccountEvent::DataExportReady { export_id: export(n), expires_at: at(60) })
    }

    #[test]
    fn u25_a_request_is_carried_out_or_given_up_in_a_day() {
        let work = DataExport::react(None, &happens(AccountEvent::DataExportRequested { export_id: export(7) })).work;
        let (account, export) = (OWNER, export(7));
        let give_up = Work::GiveUpDataExport { account, export, at: at(86_400) };
        assert_eq!(work, [Work::BuildDataExport { account, export }, give_up]);
    }

    #[test]
    fn u25_a_copy_goes_when_its_time_is_over_and_the_oldest_makes_room() {
        let mut state = None;
        let mut removed = Vec::new();
        for n in 1..=5 {
            let reaction = DataExport::react(state, &ready(n));
            state = reaction.state;
            removed.extend(reaction.work.into_iter().filter_map(|work| match work {
                Work::RemoveDataExport { export, at, .. } => Some((export, at)),
                _ => None,
            }));
        }
        let in_time = |n| (export(n), at(60));
        let for_room = |n| (export(n), at(0));
        let all = [in_time(1), in_time(2), in_time(3), for_room(1), in_time(4), for_room(2), in_time(5)];
        assert_eq!((removed, state.clone()), (all.to_vec(), Some(vec![export(3), export(4), export(5)])));
        let erased = happens(AccountEvent::AccountErased { policy_version: 1, keys: Vec::new() });
        assert_eq!(DataExport::react(state, &erased), Reaction { state: None, work: Vec::new() });
    }
}
