//! How the verbs speak to a running agent: its object on ubus.

use super::{Arguments, Exit, Flag, complain, print};
use crate::backend::ubus::message::status;
use crate::backend::ubus::{Client, SOCKET, json};
use crate::backend::{CallError, Change, Table, Value};
use crate::daemon::control::OBJECT;
use crate::task::{block_on, spawn};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::sleep;

/// For scripts: the answer as it came over the bus, and nothing else on stdout.
pub(super) const JSON: Flag = Flag { name: "json", value: None, doc: "print JSON, for scripts" };
/// Ends a verb that goes on.
pub(super) const COUNT: Flag = Flag { name: "count", value: Some("N"), doc: "stop after so many" };
/// Ends it after a while, for a caller that cannot interrupt it.
pub(super) const SECONDS: Flag = Flag { name: "seconds", value: Some("N"), doc: "stop after so long" };
/// How long an answer may take; an operation that takes longer is waited for by its event.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often what goes on is asked for again, half of what the agent grants.
const RENEWAL: Duration = Duration::from_secs(25);

/// Asks, and shows the answer: as it is, or as `show` makes a text of it.
pub(super) fn run(given: &Arguments, method: &str, args: Table, show: fn(&Arguments, &Table) -> String) -> Exit {
    match ask(given, method, &args) {
        Ok(data) => {
            let shown = if given.has("json") { print(&text(&data)) } else { print(&show(given, &data)) };
            if complain_of_paths(&data) { Exit::Refused } else { shown }
        }
        Err(exit) => exit,
    }
}

/// Asks; a failure was complained of.
pub(super) fn ask(given: &Arguments, method: &str, args: &Table) -> Result<Table, Exit> {
    converse(given, async |bus, _| call(&bus, given, method, args).await)
}

/// Asks for something that goes on, and prints every event of it, until interrupted or for so many or so long.
pub(super) fn follow(given: &Arguments, method: &str, args: Table, event: &str, show: fn(&Table) -> String) -> Exit {
    let number = |name| given.value(name).unwrap_or("4294967295").parse::<u32>();
    let (Ok(mut left), Ok(seconds)) = (number("count"), number("seconds")) else {
        complain("--count and --seconds take a number");
        return Exit::Usage;
    };
    let wanted = format!("{OBJECT}.{event}");
    let followed = converse(given, async |bus, mut events| {
        bus.watch_event(&wanted);
        call(&bus, given, method, &args).await?;
        let end = sleep(Duration::from_secs(seconds.into()));
        tokio::pin!(end);
        while left > 0 {
            tokio::select! {
                () = &mut end => return Ok(()),
                Some(change) = events.recv() => match change {
                    Change::Event(id, data) if *id == *wanted => {
                        left -= 1;
                        let shown = if given.has("json") { format!("{}\n", json::table_to_json(&data)) } else { show(&data) };
                        if !super::printed(&shown) {
                            return Ok(());
                        }
                    }
                    Change::BusRestarted => drop(call(&bus, given, method, &args).await?),
                    _ => {}
                },
                () = sleep(RENEWAL) => drop(call(&bus, given, method, &args).await?),
            }
        }
        Ok(())
    });
    followed.err().unwrap_or(Exit::Success)
}

/// Runs a conversation on the bus.
pub(super) fn converse<T>(
    given: &Arguments,
    talk: impl AsyncFnOnce(Client, Receiver<Change>) -> Result<T, Exit>,
) -> Result<T, Exit> {
    let socket = given.value("ubus").unwrap_or(SOCKET);
    if let Err(error) = UnixStream::connect(socket) {
        complain(&format!("{socket}: {error}; is ubusd running, and may you use it? `--ubus SOCKET` names another"));
        return Err(Exit::NoBus);
    }
    let ended = block_on(async {
        let (tell, changes) = mpsc::channel(64);
        let (bus, driver) = Client::new(Path::new(socket).into(), PATIENCE, tell);
        spawn(driver.run());
        talk(bus, changes).await
    });
    ended.unwrap_or_else(|error| {
        complain(&error.to_string());
        Err(Exit::Failure)
    })
}

/// One call; a failure was complained of, and is on stdout too where JSON is wanted.
pub(super) async fn call(bus: &Client, given: &Arguments, method: &str, args: &Table) -> Result<Table, Exit> {
    let (exit, why) = match bus.ask(OBJECT, method, args, PATIENCE).await {
        Ok((status::OK, data)) => return Ok(data),
        Ok((status::NO_MEMORY, _)) => (Exit::Timeout, "the agent has too much to do; try again".to_owned()),
        Ok((code, data)) => {
            if given.has("json") {
                print(&text(&data));
            }
            let any = complain_of_paths(&data);
            let error = data.get("error").and_then(Value::as_table);
            match error {
                None if any => return Err(Exit::Refused),
                error => (Exit::Refused, error.map_or_else(|| format!("status {code} of ubus"), sentence)),
            }
        }
        Err(CallError::NotFound) => (
            Exit::NotRunning,
            "the agent is not on the bus; start it with `/etc/init.d/usp-agent start`, see why it ended with \
             `logread -e usp-agent`, and ask as root"
                .to_owned(),
        ),
        Err(CallError::Timeout) => (Exit::Timeout, "the agent does not answer; see `logread -e usp-agent`".to_owned()),
        Err(CallError::Disconnected) => (Exit::NoBus, "ubusd has hung up; try again".to_owned()),
        Err(CallError::TooLarge) => {
            (Exit::Failure, "that is more than the bus carries (1 MiB): ask for less".to_owned())
        }
        Err(CallError::Status(code)) => {
            (Exit::Refused, format!("ubusd refuses (status {code}): ask as root, or see /usr/share/acl.d"))
        }
    };
    complain(&why);
    Err(exit)
}

/// The errors of single paths; true where there are some.
fn complain_of_paths(data: &Table) -> bool {
    let errors = data.get("errors").and_then(Value::as_array).unwrap_or_default();
    for error in errors.iter().filter_map(Value::as_table) {
        complain(&format!("{}: {}", text_of(error, "path"), sentence(error)));
    }
    !errors.is_empty()
}

fn sentence(error: &Table) -> String {
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
    let hint = if code == 7026 { "; `usp-agent tree` shows what there is" } else { "" };
    let paths = error.get("paths").and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_table);
    let paths: String = paths.map(|path| format!("\n  {}: {}", text_of(path, "path"), sentence(path))).collect();
    format!("{} ({code}){hint}{paths}", text_of(error, "message"))
}

/// As JSON, with its line feed.
fn text(data: &Table) -> String {
    format!("{:#}\n", json::table_to_json(data))
}

/// A text of a table; empty where there is none.
pub(super) fn text_of<'a>(table: &'a Table, name: &str) -> &'a str {
    table.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a table.
pub(super) fn number_of(table: &Table, name: &str) -> Option<i64> {
    table.get(name).and_then(Value::as_i64)
}

/// The tables in a list of a table.
pub(super) fn tables_of<'a>(table: &'a Table, name: &str) -> impl Iterator<Item = &'a Table> {
    table.get(name).and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_table)
}

/// The texts in a list of a table.
pub(super) fn texts_of<'a>(table: &'a Table, name: &str) -> impl Iterator<Item = &'a str> {
    table.get(name).and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str)
}

/// The names and texts of a table in a table.
pub(super) fn pairs_of<'a>(table: &'a Table, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let pairs = table.get(name).and_then(Value::as_table).map(|table| &table.0[..]).unwrap_or_default();
    pairs.iter().map(|(name, value)| (&**name, value.as_str().unwrap_or_default()))
}

/// Words as `path` or `paths`.
pub(super) fn paths(words: &[String]) -> Table {
    let words = words.iter().map(|word| Value::from(word.as_str()));
    Table(vec![("paths".into(), Value::Array(words.collect()))])
}

/// `NAME=VALUE` words as a table; Err is a complaint. What stands in brackets divides nothing.
pub(super) fn assignments(words: &[String]) -> Result<Table, String> {
    let one = |word: &String| {
        let (name, value) = assignment(word).ok_or_else(|| format!("`{word}` is not NAME=VALUE"))?;
        Ok((name.into(), Value::from(value)))
    };
    words.iter().map(one).collect::<Result<_, String>>().map(Table)
}

fn assignment(word: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    let at = word.find(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == '=' && depth == 0
    })?;
    let (name, value) = word.split_at_checked(at)?;
    (!name.is_empty()).then_some((name, value.strip_prefix('=')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_may_hold_what_divides() {
        assert_eq!(assignment("Device.A.[B==\"x=y\"].C=d=e"), Some(("Device.A.[B==\"x=y\"].C", "d=e")));
        assert_eq!(assignment("Host="), Some(("Host", "")));
        assert_eq!((assignment("=x"), assignment("x")), (None, None));
    }
}
