//! The journal: records of transactions, open ones and those that ended a short time ago. A record's folder tells its
//! state, so that a transaction ends by a rename, which needs no room on the disk.

use std::path::PathBuf;

use super::record::{self, UnreadableRecord, plugin_of};
use super::{RECORD_SCHEMA, Record, State, StateError, json};
use crate::fs;
use crate::name::PluginName;

/// How long an ended transaction stays in the journal, in seconds: the engine may carry out what it was asked for later.
const KEPT_FOR: u64 = 24 * 60 * 60;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It reached its commit point, and what follows was done.
    Finished,
    /// It was rolled back, or given up.
    Undone,
}

impl Ending {
    fn folder(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Undone => "undone",
        }
    }
}

/// The open transactions, and the files among them that are none.
#[derive(Debug, Default)]
pub struct Journal {
    pub records: Vec<Record>,
    pub unreadable: Vec<UnreadableRecord>,
}

impl State {
    fn records_folder(&self) -> PathBuf {
        self.root.join("transactions")
    }

    fn ended_folder(&self, ending: Ending) -> PathBuf {
        self.records_folder().join(ending.folder())
    }

    /// Puts the intent on disk, before anything changes.
    pub fn begin(&self, record: &Record) -> Result<(), StateError> {
        let folder = self.records_folder();
        // Now, since there may be no room for it when the transaction ends.
        for ending in [Ending::Finished, Ending::Undone] {
            fs::create_private_folder(&self.ended_folder(ending))?;
        }
        let record = Record { schema: RECORD_SCHEMA.to_owned(), ..record.clone() };
        Ok(fs::write_atomic(&folder.join(format!("{}.json", record.id)), &json(&record))?)
    }

    /// Ends a transaction: removes its staging folder, and moves its record to those that ended.
    pub fn end(&self, id: &str, ending: Ending) -> Result<(), StateError> {
        fs::remove_tree(&self.staging(id))?;
        self.set_aside(id, ending)
    }

    /// Moves a record to those that ended; its staging folder stays.
    pub fn set_aside(&self, id: &str, ending: Ending) -> Result<(), StateError> {
        let name = format!("{id}.json");
        let path = self.records_folder().join(&name);
        let kept = fs::rename(&path, &self.ended_folder(ending).join(&name));
        if kept.is_err() {
            fs::remove_file(&path)?;
        }
        Ok(fs::sync_folder(&self.records_folder())?)
    }

    /// The open transactions, running or interrupted. Temporary files are passed over; anything else is reported.
    pub fn journal(&self) -> Result<Journal, StateError> {
        let folder = self.records_folder();
        let mut journal = Journal::default();
        for name in fs::list_folder(&folder)? {
            let is_known = [Ending::Finished, Ending::Undone].iter().any(|ending| ending.folder() == name);
            if is_known || fs::is_temporary(&name) {
                continue;
            }
            let path = folder.join(&name);
            match Self::read_record(&path, &name) {
                Ok(Some(record)) => journal.records.push(record),
                Ok(None) => {}
                Err(reason) => journal.unreadable.push(UnreadableRecord { path, reason }),
            }
        }
        Ok(journal)
    }

    fn read_record(path: &std::path::Path, name: &str) -> Result<Option<Record>, String> {
        let id = name.strip_suffix(".json").filter(|id| plugin_of(id).is_some());
        let id = id.ok_or_else(|| "it is not named like a record".to_owned())?;
        match fs::read_optional(path) {
            Ok(Some(bytes)) => record::parse(id, &bytes).map(Some),
            // It ended a moment ago.
            Ok(None) => Ok(None),
            Err(error) => Err(error.source.to_string()),
        }
    }

    /// The transactions that are open, as far as this version can read them.
    pub fn unfinished(&self) -> Result<Vec<Record>, StateError> {
        Ok(self.journal()?.records)
    }

    /// Whether a transaction is open, whatever its record holds.
    pub fn is_open(&self, id: &str) -> bool {
        self.records_folder().join(format!("{id}.json")).symlink_metadata().is_ok()
    }

    /// The transactions that ended so in the last day.
    pub fn ended(&self, ending: Ending) -> Result<Vec<Record>, StateError> {
        let folder = self.ended_folder(ending);
        let mut records = Vec::new();
        for name in fs::list_folder(&folder)? {
            records.extend(Self::read_record(&folder.join(&name), &name).ok().flatten());
        }
        Ok(records)
    }

    /// Whether a removal of the plugin ended in the last day.
    pub fn was_removed(&self, project: &str, plugin: &PluginName) -> bool {
        let ended = self.ended(Ending::Finished).unwrap_or_default();
        ended.iter().any(|record| record.is_removal && record.project == project && record.plugin == *plugin)
    }

    /// Forgets a transaction that ended more than a day before `now` (seconds since 1970), or after it: the clock was
    /// set back.
    pub fn expire(&self, record: &Record, ending: Ending, now: u64) -> Result<(), StateError> {
        let age = now.checked_sub(record.created_at);
        if age.is_some_and(|age| age < KEPT_FOR) {
            return Ok(());
        }
        Ok(fs::remove_file(&self.ended_folder(ending).join(format!("{}.json", record.id)))?)
    }

    /// The staging folders of transactions that have no record: interrupted before anything changed.
    pub fn stray_staging(&self) -> Result<Vec<String>, StateError> {
        let names = fs::list_folder(&self.spool())?.into_iter();
        Ok(names.filter(|id| plugin_of(id).is_some() && !self.is_open(id)).collect())
    }

    /// Removes the temporary files that killed commands left in the state's folders.
    pub fn sweep(&self) {
        let receipts = self.root.join("receipts");
        let projects = fs::list_folder(&receipts).unwrap_or_default().into_iter().map(|project| receipts.join(project));
        let folders = [self.root.clone(), self.records_folder(), self.root.join("restarts")];
        projects.chain(folders).for_each(|folder| fs::sweep(&folder));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn state(folder: &Path) -> State {
        State::new(&folder.join("home"), &folder.join("home/plugins"))
    }

    fn record(id: &str) -> Record {
        Record {
            schema: RECORD_SCHEMA.to_owned(),
            id: id.to_owned(),
            plugin: plugin_of(id).unwrap().parse().unwrap(),
            project: "demo".to_owned(),
            engine: None,
            created_at: 1_000_000,
            is_removal: false,
            undo: Vec::new(),
            finish: Vec::new(),
        }
    }

    #[test]
    fn only_complete_records_count_and_all_else_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let good = record("chat.0123456789abcdef");
        state.begin(&good).unwrap();
        let records = folder.path().join("home/transactions");
        let text = std::fs::read(records.join("chat.0123456789abcdef.json")).unwrap();
        std::fs::write(records.join(".chat.0123456789abcdef.json.fedcba9876543210.tmp"), &text).unwrap();
        std::fs::write(records.join("chat.0000000000000000.json"), &text).unwrap();
        std::fs::write(records.join("chat.1111111111111111.json"), &text[..20]).unwrap();
        std::fs::write(records.join("notes"), "").unwrap();
        let fifo = records.join("chat.2222222222222222.json");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let journal = state.journal().unwrap();
        assert_eq!(journal.records, [good]);
        let unreadable: Vec<&str> =
            journal.unreadable.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            unreadable,
            ["chat.0000000000000000.json", "chat.1111111111111111.json", "chat.2222222222222222.json", "notes"]
        );
        assert_eq!(journal.unreadable[3].plugin(), None);
        assert_eq!(journal.unreadable[0].plugin(), Some("chat"));
    }

    #[test]
    fn the_staging_folder_of_a_record_that_cannot_be_read_is_no_stray() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        state.begin(&record("chat.0123456789abcdef")).unwrap();
        std::fs::write(folder.path().join("home/transactions/chat.0123456789abcdef.json"), "{").unwrap();
        for name in ["chat.0123456789abcdef", "chat.fedcba9876543210", "unknown"] {
            std::fs::create_dir_all(state.spool().join(name)).unwrap();
        }
        assert_eq!(state.stray_staging().unwrap(), ["chat.fedcba9876543210"]);
    }

    #[test]
    fn an_ended_transaction_stays_in_the_journal_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let record = record("chat.0123456789abcdef");
        state.begin(&record).unwrap();
        state.end(&record.id, Ending::Undone).unwrap();
        assert!(state.journal().unwrap().records.is_empty());
        state.expire(&record, Ending::Undone, 1_000_000 + KEPT_FOR - 1).unwrap();
        assert_eq!(state.ended(Ending::Undone).unwrap().len(), 1);
        state.expire(&record, Ending::Undone, 1_000_000 + KEPT_FOR).unwrap();
        assert!(state.ended(Ending::Undone).unwrap().is_empty());
    }
}
