//! Which nodes may connect, and be connected to: `net_kernel:allow/1`.

use handshake::NodeName;

/// See the module. Without any entry everybody may who has the cookie.
#[derive(Debug, Default)]
pub(crate) struct Allowed(Vec<String>);

impl Allowed {
    /// An entry is a node's name, a host, or with `N@` what stands before any host.
    pub(crate) fn new(entries: &[String]) -> Self {
        Self(entries.to_vec())
    }

    pub(crate) fn add(&mut self, entries: impl IntoIterator<Item = String>) {
        for entry in entries {
            if !self.0.contains(&entry) {
                self.0.push(entry);
            }
        }
    }

    pub(crate) fn entries(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn has(&self, node: &NodeName) -> bool {
        self.0.is_empty() || self.0.iter().any(|entry| matches(entry, node))
    }
}

fn matches(entry: &str, node: &NodeName) -> bool {
    match entry.split_once('@') {
        Some((alive, "")) => node.as_str().split('@').next() == Some(alive),
        Some(_) => node.as_str() == entry,
        None => node.host() == entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_node_a_host_or_a_name() {
        let has = |entries: &[&str], node: &str| {
            let mut allowed = Allowed::default();
            allowed.add(entries.iter().map(|entry| (*entry).to_owned()));
            allowed.has(&node.parse().expect("a node name"))
        };
        assert!(has(&[], "a@h"), "without entries everybody may");
        assert!(has(&["b@h", "a@h"], "a@h"));
        assert!(!has(&["b@h", "a@i", "i", "b@"], "a@h"));
        assert!(has(&["h"], "a@h") && !has(&["h"], "a@h2") && !has(&["a"], "a@h"));
        assert!(has(&["a@"], "a@h") && !has(&["a@"], "b@h"));
    }
}
