//! `dlq replay`: events of dead letters go back on the stream, their letters away.
//!
//! Each letter is one script, so whatever ends this in between, an event is either a letter or back on
//! the stream. A letter that is replayed twice is not there the second time; and as an event is pinned
//! to its first entry's id, even a copy of it makes no second set of workers.

use std::process::ExitCode;

use anyhow::Result;
use redis::{ErrorKind, Script};

use super::{Letters, PAGE, ReplayArgs, print, remark};
use crate::event::pinned;
use crate::ids::EntryId;
use crate::record::Letter;

/// Lua passes at most about 8,000 values to a command, two for each field. Only an event of thousands
/// of fields of its own has more, and goes back by hand.
const MAX_FIELDS: usize = 3_900;

/// How far it got.
#[derive(Default)]
struct Tally {
    replayed: u64,
    left: u64,
}

/// What is done letter by letter.
struct Replay<'a> {
    letters: Letters,
    events: &'a str,
    script: Script,
    tally: Tally,
}

/// Replays what was asked for. Fails where one of them was not replayed.
pub(super) async fn replay(letters: Letters, events: &str, args: &ReplayArgs) -> Result<ExitCode> {
    let script = Script::new(include_str!("../record/scripts/replay.lua"));
    let mut replay = Replay { letters, events, script, tally: Tally::default() };
    let result = if args.all { replay.all().await } else { replay.named(&args.ids).await };
    let Tally { replayed, left } = replay.tally;
    match left {
        0 => remark(&format!("{replayed} replayed")),
        _ => remark(&format!("{replayed} replayed, {left} not")),
    }
    result?;
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Replay<'_> {
    async fn named(&mut self, ids: &[EntryId]) -> Result<()> {
        for id in ids {
            let exactly = id.to_string();
            match self.letters.page(&exactly, &exactly, 1).await?.pop() {
                Some(letter) => self.one(letter).await?,
                None => self.leave(*id, "there is no such dead letter (any more)"),
            }
        }
        Ok(())
    }

    /// Those that are there now: what fails again comes behind them, and would go round for ever.
    async fn all(&mut self) -> Result<()> {
        let Some(newest) = self.letters.newest().await? else { return Ok(()) };
        let (mut from, to) = ("-".to_owned(), newest.to_string());
        loop {
            let page = self.letters.page(&from, &to, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            from = format!("({}", last.id);
            for letter in page {
                self.one(letter).await?;
            }
        }
    }

    async fn one(&mut self, letter: Letter) -> Result<()> {
        let id = letter.id;
        let Some(original) = letter.original else {
            self.leave(id, "holds no event, or not a whole one; see `dlq list --json`");
            return Ok(());
        };
        let entry = original.id;
        let event = pinned(original);
        if event.len() > MAX_FIELDS {
            let fields = event.len();
            self.leave(id, &format!("has {fields} fields, and at most {MAX_FIELDS} can be replayed"));
            return Ok(());
        }
        let Some(new) = self.put_back(id, &event).await? else {
            self.leave(id, "there is no such dead letter (any more)");
            return Ok(());
        };
        self.tally.replayed += 1;
        print(&format!("{id} replayed as {new} (first {entry})\n"))
    }

    /// The new entry's id; none where the letter went away meanwhile.
    async fn put_back(&mut self, id: EntryId, event: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<String>> {
        let mut call = self.script.prepare_invoke();
        call.key(&self.letters.stream).key(self.events).arg(id.to_string());
        for (name, value) in event {
            call.arg(name.as_slice()).arg(value.as_slice());
        }
        let answer: redis::RedisResult<Option<String>> = call.invoke_async(&mut self.letters.redis).await;
        answer.map_err(|error| {
            // Redis that answered has done nothing: it is the script's first write that failed.
            let what = match error.kind() {
                ErrorKind::Server(_) | ErrorKind::Extension => format!("{id} is left as it was"),
                _ => format!("no answer about {id}: `dlq list` shows whether it was replayed"),
            };
            anyhow::Error::new(error).context(what)
        })
    }

    fn leave(&mut self, id: EntryId, why: &str) {
        self.tally.left += 1;
        remark(&format!("error: {id}: {why}"));
    }
}
