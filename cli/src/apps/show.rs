//! A view as text, and as JSON.

use crabnode::Atom;
use dist_ac::engine::appl::{Nodes, RestartTime, Tier};
use serde_json::{Value, json};

use super::{
    told::{Asked, DistAc},
    view::{App, Member, Role, View},
};

/// As lines: the applications, the nodes, and what is wrong.
pub(crate) fn lines(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    if view.apps.is_empty() {
        lines.push("no distributed applications".to_owned());
    } else {
        let head = ["APPLICATION", "NODE", "PLACE", "STATE", "PERMITTED", "TOLD", "RESTART AFTER"];
        let rows = view.apps.iter().flat_map(|app| app.members.iter().map(move |one| member_row(app, one)));
        lines.extend(table(&head, rows.collect()));
    }
    lines.push(String::new());
    let head = ["NODE", "IS", "DIST_AC", "WEIGHT", "DIST_AC KNOWS"];
    lines.extend(table(&head, view.nodes.iter().map(node_row).collect()));
    if !view.faults.is_empty() {
        lines.push(String::new());
        lines.extend(view.faults.iter().map(|fault| format!("conflict: {fault}")));
    }
    lines
}

fn member_row(app: &App, member: &Member) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        app.name.to_string(),
        member.node.to_string(),
        member.place.map_or_else(dash, |place| place.to_string()),
        state(&member.role, app.restart_time),
        member.permitted.map_or_else(dash, |permitted| if permitted { "yes" } else { "no" }.to_owned()),
        member.weight.map_or_else(dash, |weight| weight.to_string()),
        time(app.restart_time),
    ]
}

fn state(role: &Role, restart_time: RestartTime) -> String {
    match role {
        Role::Runs => "runs".to_owned(),
        Role::Starts => "starts".to_owned(),
        Role::TakesOver => "takes over".to_owned(),
        Role::StandsBy(node) => format!("stands by for {node}"),
        Role::FailsOver(node) => format!("timer of {}, {node} died", time(restart_time)),
        Role::Waits => "started, runs nowhere".to_owned(),
        Role::NotStarted => "not started".to_owned(),
        Role::NotLoaded => "not loaded".to_owned(),
        Role::NoDistAc => "no dist_ac".to_owned(),
        Role::Boots => "boots".to_owned(),
        Role::Silent => "dist_ac does not answer".to_owned(),
        Role::Absent => "not reached".to_owned(),
        Role::Odd(text) => text.clone(),
    }
}

fn node_row(asked: &Asked) -> Vec<String> {
    let name = asked.node.to_string();
    let dash = || "-".to_owned();
    let told = match &asked.told {
        Ok(told) => told,
        Err(reason) => return vec![name, dash(), format!("not reached: {reason}")],
    };
    let list = |nodes: &[Atom]| nodes.iter().map(Atom::as_str).collect::<Vec<_>>().join(" ");
    let dist_ac = match &told.dist_ac {
        DistAc::State(_) => "answers".to_owned(),
        DistAc::Missing => "none".to_owned(),
        DistAc::Boots => "boots".to_owned(),
        DistAc::Silent { waits_in: Some(function) } => format!("waits in {function}"),
        DistAc::Silent { waits_in: None } => "does not answer".to_owned(),
        DistAc::Odd(text) => text.clone(),
    };
    let known = told.dist_ac.state().map(|state| {
        let others: Vec<Atom> = state.known.iter().filter(|node| **node != asked.node).cloned().collect();
        list(&others)
    });
    vec![
        name,
        told.software.clone().unwrap_or_else(dash),
        dist_ac,
        told.running.as_ref().map_or_else(dash, |running| running.len().to_string()),
        known.filter(|known| !known.is_empty()).unwrap_or_else(dash),
    ]
}

/// Columns as wide as they must be. The last cell of a row may be longer than its column.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut all = vec![head.iter().map(|&title| title.to_owned()).collect::<Vec<_>>()];
    all.extend(rows);
    let width = |column: usize| {
        let ends_before = |row: &&Vec<String>| column + 1 < row.len();
        let cells = all.iter().filter(ends_before).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

/// As one JSON object.
pub(crate) fn to_json(view: &View) -> Value {
    json!({
        "applications": view.apps.iter().map(application).collect::<Vec<_>>(),
        "nodes": view.nodes.iter().map(node).collect::<Vec<_>>(),
        "conflicts": view.faults.iter().map(|fault| json!({
            "kind": fault.kind(),
            "application": fault.app().map(Atom::as_str),
            "nodes": names(fault.nodes()),
            "text": fault.to_string(),
        })).collect::<Vec<_>>(),
    })
}

fn application(app: &App) -> Value {
    let timers = app.members.iter().filter_map(|member| match &member.role {
        Role::FailsOver(died) => Some(json!({"node": member.node.as_str(), "died": died.as_str()})),
        _ => None,
    });
    json!({
        "application": app.name.as_str(),
        "restart_time": match app.restart_time {
            RestartTime::Millis(millis) => json!(millis),
            RestartTime::Infinity => json!("infinity"),
        },
        "priority": priority(&app.nodes),
        "runs_on": names(app.runs_on()),
        "stands_by": names(app.with_role(|role| matches!(role, Role::StandsBy(_)))),
        "timers": timers.collect::<Vec<_>>(),
        "members": app.members.iter().map(|member| json!({
            "node": member.node.as_str(),
            "place": member.place,
            "state": member.role.name(),
            "of": member.role.of().map(Atom::as_str),
            "permitted": member.permitted,
            "weight": member.weight,
        })).collect::<Vec<_>>(),
    })
}

/// As in `kernel distributed`: a tuple is an array.
fn priority(nodes: &Nodes) -> Value {
    let tier = |tier: &Tier| match tier {
        Tier::One(node) => json!(node.as_str()),
        Tier::Any(nodes) => json!(names(nodes.iter())),
    };
    nodes.tiers().iter().map(tier).collect()
}

fn node(asked: &Asked) -> Value {
    let told = match &asked.told {
        Ok(told) => told,
        Err(reason) => return json!({"node": asked.node.as_str(), "reached": false, "reason": reason}),
    };
    let (dist_ac, detail) = match &told.dist_ac {
        DistAc::State(_) => ("answers", None),
        DistAc::Missing => ("none", None),
        DistAc::Boots => ("boots", None),
        DistAc::Silent { waits_in } => ("silent", waits_in.as_deref()),
        DistAc::Odd(text) => ("unknown", Some(text.as_str())),
    };
    json!({
        "node": asked.node.as_str(),
        "reached": true,
        "software": told.software,
        "dist_ac": dist_ac,
        "detail": detail,
        "running": told.running.as_ref().map(names),
        "connected": names(&told.connected),
        "known": told.dist_ac.state().map(|state| names(&state.known)),
    })
}

fn names<'a>(nodes: impl IntoIterator<Item = &'a Atom>) -> Vec<&'a str> {
    nodes.into_iter().map(Atom::as_str).collect()
}

fn time(restart_time: RestartTime) -> String {
    match restart_time {
        RestartTime::Millis(millis) => format!("{millis} ms"),
        RestartTime::Infinity => "never".to_owned(),
    }
}
