//! Which edits make the section, and what speaks against it.

use crate::backend::uci::name::is_name;
use crate::backend::uci::{Edit, OptValue, Package, Section};
use crate::config::{self, url::Url};

/// What the command line says.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    pub(super) preset: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) role: Option<&'a str>,
    pub(super) unencrypted: bool,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: Box<str>,
    pub(super) edits: Vec<Edit>,
    /// What the owner should know of it.
    pub(super) notes: Vec<String>,
}

/// What is said to the broker of another place stays with that one.
const OF_THE_PLACE: [&str; 2] = ["Username", "Password"];

/// The edits of a new section, or of the one that is named; Err says what to do instead.
pub(super) fn plan(package: &Package, wanted: &Wanted<'_>) -> Result<Planned, String> {
    let url = Url::parse(wanted.url).map_err(|what| format!("{}: {what}", without_password(wanted.url)))?;
    let known = wanted.name.and_then(|name| package.section(name));
    let id = wanted.id.or_else(|| config::preset_id(wanted.preset.unwrap_or_default()));
    if id.is_none() && known.is_none_or(|section| section.get("EndpointID").is_none()) {
        return Err("the controller's endpoint id is needed: --id proto::acs.example.net".into());
    }
    if let Some(section) = known {
        may_be_changed(package, section)?;
    }
    let name = match wanted.name {
        Some(name) if is_name(name) => name.into(),
        Some(name) => return Err(format!("--name {name}: a section's name is letters, digits and _")),
        None => free_name(package, wanted, &url),
    };
    refuse_second(package, &name, &url, id)?;
    let mut edits = match known {
        Some(_) => Vec::new(),
        None => vec![Edit::Add { section: name.clone(), kind: "controller".into() }],
    };
    let mut set = |option: &str, value: Option<OptValue>| {
        edits.push(Edit::Set { section: name.clone(), option: option.into(), value });
    };
    let one = |text: &str| Some(OptValue::One(text.into()));
    set("url", one(wanted.url));
    if let Some(section) = known {
        set("Enable", None);
        let moves = place_of(section).is_none_or(|place| !same_place(&place, &url));
        OF_THE_PLACE.iter().filter(|_| moves).for_each(|option| set(option, None));
    }
    let given = [("preset", wanted.preset), ("EndpointID", id), ("Username", wanted.username)];
    for (option, text) in given.into_iter().filter_map(|(option, text)| Some((option, text?))) {
        set(option, one(text));
    }
    wanted.password.into_iter().for_each(|password| set("Password", one(password)));
    wanted.role.into_iter().for_each(|role| set("role", Some(OptValue::List(vec![role.into()]))));
    if wanted.unencrypted {
        set("AllowUnencrypted", one("1"));
    }
    let notes = remarks(&with(package, &edits)?, &name)?;
    Ok(Planned { name, edits, notes })
}

/// Its `url` is what this verb knows to change.
fn may_be_changed(package: &Package, section: &Section) -> Result<(), String> {
    let name = &section.name;
    if &*section.kind != "controller" {
        return Err(format!("--name {name}: that is a section of type {}, choose another name", section.kind));
    }
    let written_out = package.of_kind("controller_mtp").find(|way| way.text("controller") == Some(name));
    match written_out {
        Some(way) => Err(format!(
            "{name} is reached by the section '{}': change that with uci, or remove it and ask again",
            way.name
        )),
        None => Ok(()),
    }
}

fn refuse_second(package: &Package, name: &str, url: &Url, id: Option<&str>) -> Result<(), String> {
    let others = || package.of_kind("controller").filter(|other| &*other.name != name);
    if let Some(other) = others().find(|other| place_of(other).is_some_and(|place| same_place(&place, url))) {
        return Err(format!("controller '{0}' is at that place already; --name {0} changes it", other.name));
    }
    match others().find(|other| id.is_some() && other.text("EndpointID") == id) {
        Some(other) => Err(format!("controller '{0}' has that endpoint id already; --name {0} changes it", other.name)),
        None => Ok(()),
    }
}

fn place_of(section: &Section) -> Option<Url> {
    Url::parse(section.text("url")?).ok()
}

/// The same server, whoever one says to be there. Several controllers may come to one place to listen at.
fn same_place(one: &Url, other: &Url) -> bool {
    let place = |url: &Url| (url.listen, url.scheme, url.host.to_ascii_lowercase(), url.port, url.path.clone());
    !one.listen && place(one) == place(other)
}

/// The preset's name, else one made of the host; with a number where that is taken.
fn free_name(package: &Package, wanted: &Wanted<'_>, url: &Url) -> Box<str> {
    let host: String = url.host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let base = match (wanted.preset.filter(|preset| *preset != "plain" && is_name(preset)), host.as_str()) {
        (Some(preset), _) => preset,
        (None, "") => "controller",
        (None, host) => host,
    };
    // Sections that a written-out `url` stands for are called NAME_link, NAME_mqtt, ...
    let taken = |name: &str| {
        let own = |section: &Section| {
            section.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        package.sections.iter().any(own) || config::ROLES.iter().any(|(role, ..)| *role == name)
    };
    let mut number = 1;
    let mut name = base.to_owned();
    while taken(&name) {
        number += 1;
        name = format!("{base}{number}");
    }
    name.into()
}

/// The package as these edits leave it.
fn with(package: &Package, edits: &[Edit]) -> Result<Package, String> {
    let mut package = package.clone();
    edits.iter().try_for_each(|edit| package.apply(edit)).map_err(|error| error.to_string())?;
    Ok(package)
}

/// What `check` would say of the section; Err where a value of it is wrong.
fn remarks(package: &Package, name: &str) -> Result<Vec<String>, String> {
    let label = format!("config controller '{name}'");
    let own_id = config::own_id(package).unwrap_or(config::UNKNOWN_ID);
    let (_, unused) = config::links::links(package, own_id);
    let of_it = config::check(package).into_iter().chain(unused).filter(|warning| *warning.section == *label);
    let texts: Vec<String> = of_it.map(|warning| warning.what.into()).collect();
    match texts.iter().find(|text| text.starts_with("option ")) {
        Some(wrong) => Err(wrong.clone()),
        None => Ok(texts),
    }
}

/// An address that could not be read, fit for a terminal.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://...@{place}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::uci::parse::parse;
    use crate::backend::uci::write::write;

    fn package(text: &str) -> Package {
        parse("usp-agent", text.as_bytes()).unwrap()
    }

    fn planned(text: &str, wanted: &Wanted<'_>) -> Result<(String, Vec<String>), String> {
        let package = package(text);
        let planned = plan(&package, wanted)?;
        let after = with(&package, &planned.edits)?;
        let section = after.section(&planned.name).unwrap().clone();
        let alone = Package { name: "usp-agent".into(), sections: vec![section] };
        Ok((String::from_utf8(write(&alone)).unwrap().replace('\t', " "), planned.notes))
    }

    fn wanted<'a>(url: &'a str) -> Wanted<'a> {
        Wanted { url, ..Wanted::default() }
    }

    #[test]
    fn a_preset_needs_no_more_than_the_address() {
        let wanted = Wanted { preset: Some("oktopus"), ..wanted("mqtt://h") };
        let (section, notes) = planned("", &wanted).unwrap();
        let expected = "config controller 'oktopus'\n option url 'mqtt://h'\n option preset 'oktopus'\n option EndpointID 'oktopusController'\n";
        assert_eq!((section.trim(), notes.as_slice()), (expected.trim(), &[][..]));
    }

    #[test]
    fn everything_else_is_said_in_full() {
        let wanted = Wanted {
            id: Some("proto::acs"),
            role: Some("full"),
            unencrypted: true,
            username: Some("u"),
            password: Some("p"),
            ..wanted("mqtts://acs.example.net:8884")
        };
        let (section, _) = planned("config controller 'acs_example_net'\n option url 'ws://x'\n", &wanted).unwrap();
        for line in [
            "controller 'acs_example_net2'",
            "Username 'u'",
            "Password 'p'",
            "list role 'full'",
            "AllowUnencrypted '1'",
        ] {
            assert!(section.contains(line), "{line} is not in\n{section}");
        }
    }

    #[test]
    fn a_section_is_changed_only_by_its_name() {
        let text = "config controller 'a'\n option url 'mqtt://H:1883/t'\n option EndpointID 'proto::a'\n option Enable '0'\n option Password 'old'\n list role 'readonly'\n";
        let again = Wanted { id: Some("proto::b"), ..wanted("mqtt://user@h/t") };
        assert_eq!(planned(text, &again).unwrap_err(), "controller 'a' is at that place already; --name a changes it");
        let twin = Wanted { id: Some("proto::a"), ..wanted("mqtt://other") };
        assert!(planned(text, &twin).unwrap_err().contains("--name a changes it"));
        let (section, _) = planned(text, &Wanted { name: Some("a"), ..wanted("mqtt://user@h/t") }).unwrap();
        assert!(
            section.contains("'proto::a'") && section.contains("role 'readonly'") && section.contains("'old'"),
            "{section}"
        );
        assert!(!section.contains("Enable"), "{section}");
        let (section, _) = planned(text, &Wanted { name: Some("a"), ..wanted("mqtt://elsewhere") }).unwrap();
        assert!(!section.contains("old"), "another broker is not told the password of this one\n{section}");
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        let text = "config controller 'a'\n option EndpointID 'proto::a'\n
config controller_mtp 'way'\n option controller 'a'\n option Protocol 'MQTT'\n
config mqtt 'm'\n option BrokerAddress 'h'\n";
        let cases = [
            (wanted("http://h"), "http://h: "),
            (wanted("mqtt://u:secret@h:0"), "mqtt://...@h:0: "),
            (wanted("mqtt://h"), "--id proto::"),
            (Wanted { id: Some("x"), role: Some("king"), ..wanted("mqtt://h") }, "option role: `king`"),
            (Wanted { id: Some("x"), preset: Some("octopus"), ..wanted("mqtt://h") }, "plain or oktopus"),
            (Wanted { name: Some("m"), id: Some("x"), ..wanted("mqtt://h") }, "section of type mqtt"),
            (Wanted { name: Some("a"), ..wanted("mqtt://h") }, "reached by the section 'way'"),
            (Wanted { name: Some("a-b"), id: Some("x"), ..wanted("mqtt://h") }, "letters, digits and _"),
        ];
        for (wanted, why) in cases {
            let told = planned(text, &wanted).unwrap_err();
            assert!(told.contains(why) && !told.contains("secret"), "{wanted:?}: {told}");
        }
    }
}
