//! Groups that routes require and that have no member.

use std::collections::BTreeSet;
use std::path::Path;

use crate::credentials::user_file::Users;
use crate::values::nearest_word::nearest;

use super::files;
use super::raw::RawTable;
use super::refusal::ValueRefusal;

/// Warns of every group of a route that no user of this file has. Without users there is nothing to compare.
pub(crate) fn check(file: &RawTable<'_>, users: &Users, path: &Path) {
    if users.count() == 0 {
        return;
    }
    let entries = users.sorted();
    let groups: BTreeSet<&str> = entries.iter().flat_map(|user| user.identity.groups()).collect();
    let groups: Vec<&str> = groups.into_iter().collect();
    let routes = file.item("route").map(|item| item.again()).unwrap_or_default();
    let items = routes.iter().filter_map(|route| route.item("groups")).flat_map(|item| item.one_or_list());
    for item in items {
        let Some(group) = item.peek().filter(|group| !groups.contains(group)) else { continue };
        let refusal = ValueRefusal::new(format!("no user of {} is in the group \"{group}\"", path.display()));
        let refusal = match nearest(group, &groups) {
            Some(near) => refusal.write(format!("did you mean \"{near}\"?")),
            None if groups.is_empty() => {
                refusal.write("no user of this file has a group; in an htpasswd file no user can: use a users.toml")
            }
            None => refusal.write(format!("write {}, which are the groups in it", listed(&groups))),
        };
        let file = files::shell_quoted(path);
        item.location.warning(
            refusal.write(format!("or put somebody into it: exeunt user set NAME --group {group} --file {file}")),
        );
    }
}

fn listed(groups: &[&str]) -> String {
    let shown: Vec<String> = groups.iter().take(5).map(|group| format!("\"{group}\"")).collect();
    shown.join(" or ")
}
