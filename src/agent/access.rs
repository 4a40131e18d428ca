//! Who may do what: the roles of a controller, compiled into a [`Permit`].
//!
//! Within a role the permission of highest Order that names an element decides all its sixteen bits;
//! the roles are OR-ed (TR-181 `ControllerTrust.Role.{i}.Permission.{i}.`). What no permission names is
//! forbidden.
//!
//! # Targets that search
//!
//! What a search names depends on values, and a [`Permit`] is asked too often to wait for any. So the searches of a
//! controller's roles are answered once per message, before it is handled, and as they stood then
//! ([`Access::searches`], [`Access::answered`]). A row that the message itself makes is named by no search yet, as it
//! is by no instance number.
//!
//! Where a search cannot be answered (a source is silent, it names too much, it is no path) the truth is one of two:
//! its permission decides, or the next one below it does. Only what both would grant is granted: a search in doubt
//! never grants what nothing else grants, and never lets a wider permission below it through. The same holds for a row
//! that is gone, of which nobody can tell any more whether a search named it ([`Access::gone`]).
//!
//! Of an object in the supported model (`{i}`) a permission for some rows decides nothing for the others: what any row
//! may be used for, the supported model shows.

use super::pattern::{Fit, Pattern};
use super::settings::{Controller, Role, Settings};
use crate::model::{Permit, Rights};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Objects whose rights are remembered.
const CACHE: usize = 1024;
/// Searches in the Targets of one controller's roles; what is beyond stays in doubt.
pub const MAX_SEARCHES: usize = 64;
/// Objects one of them names at most; one that names more stays in doubt.
pub const MAX_FOUND: usize = 1024;

/// Who, on an encrypted link or not, and the section of the credential that vouches for the peer.
pub type Key = (Rc<str>, bool, Box<str>);
/// The objects one search names, sorted; None where that is in doubt.
pub type Found = Option<Box<[Box<str>]>>;

/// What the members of some roles may do.
#[derive(Debug, Default)]
pub struct Access {
    rules: Rc<Rules>,
    /// As many as there are searches, or fewer: the others are in doubt.
    found: Vec<Found>,
    cache: RefCell<HashMap<Box<str>, Rights>>,
}

#[derive(Debug, Default)]
struct Rules {
    /// Per role its rules, the highest Order first.
    roles: Vec<Vec<Rule>>,
    /// Object paths.
    searches: Vec<Box<str>>,
    secured: bool,
    by_element: bool,
}

#[derive(Debug)]
struct Rule {
    targets: Vec<Target>,
    rights: Rights,
}

#[derive(Debug)]
enum Target {
    Path(Pattern),
    Search {
        /// Which of [`Rules::searches`].
        at: usize,
        leaf: Option<Box<str>>,
        /// Whatever it may name; None for anything.
        widened: Option<Pattern>,
    },
}

/// What a target says of an element, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hit {
    No,
    /// Some rows of a table in the supported model.
    Row,
    /// Nobody can tell.
    Doubt,
    Yes,
}

impl Access {
    /// What `controller` may do on a link that is encrypted or not, and that this credential vouches for.
    ///
    /// Its own roles and those it inherits are united; without any it is untrusted. Without encryption nobody knows who
    /// sends: the untrusted role only, unless the owner allowed it.
    pub fn of(settings: &Settings, controller: &Controller, encrypted: bool, inherits: &[Box<str>]) -> Self {
        let mut roles = [&*controller.roles, inherits].concat();
        if roles.is_empty() || !(encrypted || controller.allow_unencrypted) {
            log::debug!("controller={} access={}", controller.section, settings.trust.untrusted_role);
            roles = vec![settings.trust.untrusted_role.clone()];
        }
        Self::of_roles(settings, &roles)
    }

    /// What the members of these roles (sections or Names) may do.
    pub fn of_roles(settings: &Settings, names: &[Box<str>]) -> Self {
        let is_named = |role: &&Role| names.iter().any(|n| *n == role.section || *n == role.name);
        let roles: Vec<&Role> = settings.roles.iter().filter(|r| r.enable).filter(is_named).collect();
        let secured = |role: &&Role| settings.secured_roles.iter().any(|n| *n == role.section || *n == role.name);
        let mut searches = Vec::new();
        let compiled: Vec<Vec<Rule>> = roles.iter().map(|r| compile(r, &mut searches)).collect();
        let rules = Rules {
            secured: roles.iter().any(secured),
            by_element: compiled.iter().flatten().flat_map(|r| &r.targets).any(|t| t.leaf().is_some()),
            roles: compiled,
            searches,
        };
        Self { rules: Rc::new(rules), found: Vec::new(), cache: RefCell::default() }
    }

    /// What who owns the router may do. Secured values stay hidden: an answer may be seen by more than who asked.
    pub fn of_owner() -> Self {
        let targets = Pattern::parse("Device.").map(Target::Path).into_iter().collect();
        let rules = Rules { roles: vec![vec![Rule { targets, rights: Rights::ALL }]], ..Rules::default() };
        Self { rules: Rc::new(rules), ..Self::default() }
    }

    /// What its targets search for: object paths, the first [`MAX_SEARCHES`]. Until they are answered all is in doubt.
    pub fn searches(&self) -> &[Box<str>] {
        let all = &self.rules.searches;
        all.get(..MAX_SEARCHES.min(all.len())).unwrap_or_default()
    }

    /// The same with its searches answered, in their order.
    pub fn answered(&self, found: Vec<Found>) -> Self {
        Self { rules: self.rules.clone(), found, cache: RefCell::default() }
    }

    /// The rights on an object that is gone.
    pub fn gone(&self, object: &str) -> Rights {
        let all = |target: &Target| if target.leaf().is_some() { Hit::No } else { target.hit(&[], object) };
        self.decide(all)
    }

    /// One role grants this of everything there is: it says so of `Device.`, and says nothing less of any part.
    pub fn everywhere(&self, rights: Rights) -> bool {
        let names_all = |target: &Target| target.leaf().is_none() && target.hit(&[], "Device.") == Hit::Yes;
        let grants = |rules: &Vec<Rule>| {
            let mut before = rules.iter().take_while(|rule| rule.rights.allow(rights));
            before.any(|rule| rule.targets.iter().any(names_all))
        };
        self.rules.roles.iter().any(grants)
    }

    fn decide(&self, hit: impl Fn(&Target) -> Hit) -> Rights {
        self.rules.roles.iter().fold(Rights::default(), |all, rules| all | of_role(rules, &hit))
    }
}

/// The first rule that surely names the element decides; those above it that may name it take away, and those that
/// name other rows of a table in the supported model add.
fn of_role(rules: &[Rule], hit: impl Fn(&Target) -> Hit) -> Rights {
    let (mut certain, mut rows) = (Rights::ALL, Rights::default());
    for rule in rules {
        match rule.targets.iter().map(&hit).max().unwrap_or(Hit::No) {
            Hit::No => {}
            Hit::Row => rows = rows | (rule.rights & certain),
            Hit::Doubt => certain = certain & rule.rights,
            Hit::Yes => return rows | (rule.rights & certain),
        }
    }
    rows
}

impl Permit for Access {
    fn object(&self, path: &str) -> Rights {
        if let Some(&rights) = self.cache.borrow().get(path) {
            return rights;
        }
        let rights = self.decide(|t| if t.leaf().is_some() { Hit::No } else { t.hit(&self.found, path) });
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(path.into(), rights);
        rights
    }

    fn element(&self, object: &str, name: &str) -> Rights {
        if !self.by_element(object) {
            return self.object(object);
        }
        self.decide(|target| match target.leaf() {
            Some(leaf) if leaf != name => Hit::No,
            Some(_) => target.hit_itself(&self.found, object),
            None => target.hit(&self.found, object),
        })
    }

    fn by_element(&self, object: &str) -> bool {
        let here = |target: &Target| target.leaf().is_some() && target.hit_itself(&self.found, object) != Hit::No;
        self.rules.by_element && self.rules.roles.iter().flatten().flat_map(|r| &r.targets).any(here)
    }

    fn secured(&self) -> bool {
        self.rules.secured
    }
}

impl Target {
    /// The parameter, command or event it names.
    fn leaf(&self) -> Option<&str> {
        match self {
            Self::Path(pattern) => pattern.leaf(),
            Self::Search { leaf, .. } => leaf.as_deref(),
        }
    }

    /// The object is named, or is below what is named.
    fn hit(&self, found: &[Found], object: &str) -> Hit {
        self.place(found, object).0
    }

    /// The object itself is named.
    fn hit_itself(&self, found: &[Found], object: &str) -> Hit {
        match self.place(found, object) {
            (hit, true) => hit,
            (_, false) => Hit::No,
        }
    }

    /// What it says of the object, and whether it names this object itself.
    fn place(&self, found: &[Found], object: &str) -> (Hit, bool) {
        let (at, widened) = match self {
            Self::Path(pattern) => return place(pattern, object),
            Self::Search { at, widened, .. } => (*at, widened),
        };
        let may = widened.as_ref().map_or((Hit::Yes, true), |pattern| place(pattern, object));
        match found.get(at).and_then(Option::as_deref) {
            _ if may.0 == Hit::No => may,
            _ if object.contains("{i}") => (Hit::Row, may.1),
            None => (Hit::Doubt, may.1),
            Some(named) => {
                // None of them is below another: the one the object is below, if any, is the last before it.
                let before = named.partition_point(|path| **path <= *object).checked_sub(1);
                let above = before.and_then(|at| named.get(at)).filter(|path| object.starts_with(&***path));
                (if above.is_some() { Hit::Yes } else { Hit::No }, above.is_some_and(|path| path.len() == object.len()))
            }
        }
    }
}

fn place(pattern: &Pattern, object: &str) -> (Hit, bool) {
    let (fit, below) = pattern.fit(object);
    let hit = match fit {
        Fit::No => Hit::No,
        Fit::Row => Hit::Row,
        Fit::Yes => Hit::Yes,
    };
    (hit, below == 0)
}

fn compile(role: &Role, searches: &mut Vec<Box<str>>) -> Vec<Rule> {
    let mut rule = |p: &super::settings::Permission| {
        let mut targets = Vec::new();
        p.targets.iter().for_each(|text| add_target(&role.section, text, searches, &mut targets));
        Rule { targets, rights: p.rights }
    };
    role.permissions.iter().map(&mut rule).collect()
}

/// Objects may be named without their final dot, as the specification's own examples do: what could be a parameter or
/// an object is both, and only one of them is there.
fn add_target(role: &str, text: &str, searches: &mut Vec<Box<str>>, into: &mut Vec<Target>) {
    let before = into.len();
    let dotted = format!("{text}.");
    let also = (!text.ends_with(['.', ')', '!'])).then_some(&*dotted);
    for text in [Some(text), also].into_iter().flatten() {
        let Some(pattern) = Pattern::parse(text) else { continue };
        into.push(if pattern.needs_values() {
            let leaf: Option<Box<str>> = pattern.leaf().map(Into::into);
            let object = leaf.as_deref().map_or(text, |leaf| text.strip_suffix(leaf).unwrap_or(text));
            searches.push(object.into());
            Target::Search { at: searches.len() - 1, leaf, widened: pattern.widened() }
        } else {
            Target::Path(pattern)
        });
    }
    if into.len() == before {
        log::warn!(
            "role={role} target={text} is not a path: its permission decides nothing, and lets nothing below through"
        );
        into.push(Target::Search { at: usize::MAX, leaf: None, widened: None });
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::package;
    use super::*;

    const ROLES: &str = "
        role full; permission a role=full Enable=1 Order=1 Targets=Device. Param=rwxn Obj=rwxn InstantiatedObj=rwxn CommandEvent=rwxn;
        permission b role=full Enable=1 Order=5 Targets=Device.WiFi.,Device.IP.Interface.*.Stats. Param=r---;
        role guest Name=Guest; permission c role=guest Enable=1 Order=1 Targets=Device.WiFi.Radio.1. Obj=r---;
        permission d role=guest Enable=1 Order=2 Targets=Device.DeviceInfo.UpTime Param=r---;
        permission e role=guest Enable=1 Order=3 Targets=Device.Users.User.[Enable==true]. Param=rwxn;
        role off Enable=0; permission f role=off Enable=1 Targets=Device. Param=rwxn;
        localagent t UntrustedRole=guest SecuredRoles=full;
        controller lab EndpointID=a role=full AllowUnencrypted=1; controller acs EndpointID=b role=full";

    fn access(names: &[&str]) -> Access {
        let names: Vec<Box<str>> = names.iter().map(|&n| n.into()).collect();
        Access::of_roles(&Settings::from_package(&package(ROLES)), &names)
    }

    #[test]
    fn the_highest_order_replaces_all_bits() {
        let full = access(&["full"]);
        assert_eq!(full.object("Device.IP.Interface.1."), Rights::ALL);
        assert_eq!(full.object("Device.WiFi.Radio.1."), Rights::PARAM_READ);
        assert_eq!(full.object("Device.IP.Interface.4.Stats."), Rights::PARAM_READ);
        assert!(full.secured());
    }

    #[test]
    fn one_role_must_grant_it_of_all_there_is() {
        let full = access(&["full"]);
        assert!(full.everywhere(Rights::PARAM_READ), "no exception says less");
        assert!(!full.everywhere(Rights::PARAM_WRITE), "Wi-Fi is an exception");
        assert!(!access(&["guest"]).everywhere(Rights::PARAM_READ));
        assert!(Access::of_owner().everywhere(Rights::ALL) && !Access::default().everywhere(Rights::PARAM_READ));
        let one = "role r; permission a role=r Enable=1 Order=1 Targets=Device. Param=rw--;";
        for (exception, everywhere) in [
            ("Targets=Device.Users.User.[Enable==true]. Param=r---", false),
            ("Targets=Device.DeviceInfo.UpTime Param=r---", false),
            ("Targets=Device.DeviceInfo.UpTime Param=rwxn", true),
        ] {
            let text = format!("{one} permission b role=r Enable=1 Order=2 {exception}");
            let access = Access::of_roles(&Settings::from_package(&package(&text)), &["r".into()]);
            assert_eq!(access.everywhere(Rights::PARAM_WRITE), everywhere, "{exception}");
        }
    }

    #[test]
    fn roles_are_united() {
        let both = access(&["full", "Guest"]);
        assert_eq!(both.object("Device.WiFi.Radio.1."), Rights::PARAM_READ | Rights::OBJECT_READ);
        assert_eq!(both.object("Device.WiFi.Radio.2."), Rights::PARAM_READ);
    }

    #[test]
    fn what_nobody_names_is_forbidden() {
        assert_eq!(access(&["guest"]).object("Device.IP."), Rights::default());
        assert_eq!(access(&["off", "unknown"]).object("Device."), Rights::default());
        assert_eq!(access(&["guest"]).object("Device.Users.User.1."), Rights::default());
    }

    #[test]
    fn a_target_may_be_one_parameter() {
        let guest = access(&["guest"]);
        assert!(guest.by_element("Device.DeviceInfo.") && !guest.by_element("Device.WiFi."));
        assert_eq!(guest.element("Device.DeviceInfo.", "UpTime"), Rights::PARAM_READ);
        assert_eq!(guest.element("Device.DeviceInfo.", "SerialNumber"), Rights::default());
    }

    #[test]
    fn without_encryption_only_the_untrusted_role_is_left() {
        let settings = Settings::from_package(&package(ROLES));
        let acs = settings.controller("acs").unwrap();
        assert_eq!(Access::of(&settings, acs, true, &[]).object("Device."), Rights::ALL);
        assert_eq!(Access::of(&settings, acs, false, &[]).object("Device."), Rights::default());
        let lab = settings.controller("lab").unwrap();
        assert_eq!(Access::of(&settings, lab, false, &[]).object("Device."), Rights::ALL);
    }
}
