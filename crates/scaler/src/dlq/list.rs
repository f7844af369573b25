//! `dlq list`: the newest dead letters, newest last, for people or as JSON.
//!
//! The table shows where a letter comes from and what is wrong with it: a producer's text in it is cut
//! and cannot steer a terminal, and no value but type and task is shown. The JSON form shows all.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Serialize;

use super::{Letters, ListArgs, PAGE, print, remark};
use crate::ids::EntryId;
use crate::record::Letter;

/// Shows what was asked for and says how many more there are.
pub(super) async fn list(mut letters: Letters, args: &ListArgs) -> Result<()> {
    let total = letters.count().await?;
    let Some(newest) = letters.newest().await? else {
        remark(&format!("no dead letters in {}", letters.stream));
        return Ok(());
    };
    let limit = args.limit.get();
    // The end is fixed, so that letters that come meanwhile do not push the list on for ever.
    let (mut from, to) = (first(&mut letters, limit, total).await?, newest.to_string());
    let mut left = limit;
    if !args.json {
        print(&header())?;
    }
    while left > 0 {
        let page = letters.page(&from, &to, left.min(PAGE)).await?;
        let Some(last) = page.last() else { break };
        from = format!("({}", last.id);
        left = left.saturating_sub(page.len() as u64);
        print(&page.iter().map(if args.json { json } else { row }).collect::<String>())?;
    }
    let older = total.saturating_sub(limit - left);
    if older > 0 {
        remark(&format!("{older} more are older; --limit {total} shows them all"));
    }
    Ok(())
}

/// Where the newest `limit` letters begin: found by going back, as streams are not counted from the end.
async fn first(letters: &mut Letters, limit: u64, total: u64) -> Result<String> {
    if total <= limit {
        return Ok("-".to_owned());
    }
    let (mut from, mut left) = ("+".to_owned(), limit);
    while left > 0 {
        let ids = letters.ids_back(&from, left.min(PAGE)).await?;
        let Some(oldest) = ids.last() else { break };
        from = format!("({oldest}");
        left = left.saturating_sub(ids.len() as u64);
    }
    Ok(from.trim_start_matches('(').to_owned())
}

fn header() -> String {
    line(["ID", "WHEN", "ENTRY", "TYPE", "TASK", "WHAT IS WRONG"])
}

fn row(letter: &Letter) -> String {
    let value = |names: &[&[u8]]| {
        let mut fields = letter.original.iter().flat_map(|entry| &entry.fields);
        let found = fields.find(|(name, value)| names.contains(&name.as_slice()) && !value.is_empty());
        found.map(|(_, value)| String::from_utf8_lossy(value))
    };
    let shown =
        |text: Option<std::borrow::Cow<'_, str>>, most| text.map_or("-".to_owned(), |t| shown(&t, most));
    let id = letter.id.to_string();
    let when = when(letter.id).map_or("-".to_owned(), |at| format!("{at:.0}"));
    let entry = letter.original.as_ref().map_or("-".to_owned(), |entry| entry.id.to_string());
    let kind = shown(value(&[b"type"]), 12);
    let task = shown(value(&[b"task_id", b"job_id"]), 40);
    line([&id, &when, &entry, &kind, &task, &wrong(letter)])
}

fn wrong(letter: &Letter) -> String {
    match (letter.field.as_str(), letter.reason.as_str()) {
        ("", "") => "not written by ottoscaler".to_owned(),
        ("", reason) => shown(reason, 300),
        (field, reason) => shown(&format!("{field}: {reason}"), 300),
    }
}

/// Widths that ids and times fit; what is longer moves the rest of its line only.
fn line([id, when, entry, kind, task, wrong]: [&str; 6]) -> String {
    format!("{id:<17}  {when:<20}  {entry:<17}  {kind:<10}  {task:<24}  {wrong}\n")
}

/// Text that can neither steer a terminal, turn its direction, nor fill it.
fn shown(text: &str, most: usize) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut rest = text.chars();
    let mut shown: String =
        rest.by_ref().take(most).map(|c| if steers(c) { '\u{fffd}' } else { c }).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// When the letter was written, by Redis's clock. An id may be of somebody's own making.
fn when(id: EntryId) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(id.unix_millis()).ok()?).ok()
}

/// A letter in JSON; `fields` are what jq's `from_entries` takes.
#[derive(Serialize)]
struct Shown<'a> {
    id: EntryId,
    when: Option<Timestamp>,
    cause: &'a str,
    field: &'a str,
    reason: &'a str,
    deliveries: Option<u64>,
    entry_id: Option<EntryId>,
    fields: Option<Vec<Field<'a>>>,
}

/// A field; what is no text is in base64, under a name that says so.
#[derive(Serialize)]
struct Field<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

fn json(letter: &Letter) -> String {
    let original = letter.original.as_ref();
    let shown = Shown {
        id: letter.id,
        when: when(letter.id),
        cause: &letter.cause,
        field: &letter.field,
        reason: &letter.reason,
        deliveries: letter.deliveries,
        entry_id: original.map(|entry| entry.id),
        fields: original.map(|entry| entry.fields.iter().map(|(n, v)| Field::new(n, v)).collect()),
    };
    let mut line = serde_json::to_string(&shown).expect("a letter is plain data");
    line.push('\n');
    line
}

impl<'a> Field<'a> {
    fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        let (name, name_base64) = text(name);
        let (value, value_base64) = text(value);
        Self { name, name_base64, value, value_base64 }
    }
}

fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producers_text_can_neither_steer_a_terminal_nor_fill_it() {
        assert_eq!(shown("a\u{1b}[2J\nb\u{202e}c", 40), "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
        assert_eq!(shown("abcd", 3), "abc…");
        assert_eq!(shown("abc", 3), "abc");
    }

    #[test]
    fn an_id_of_somebodys_own_making_has_no_time() {
        assert!(when("18446744073709551615-1".parse().unwrap()).is_none());
        assert_eq!(when("0-1".parse().unwrap()).unwrap().to_string(), "1970-01-01T00:00:00Z");
    }
}
