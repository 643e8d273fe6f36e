//! D. Permissions (items 25 to 29).

use std::time::Duration;

use interop_tests::clock::{pause, wait_for};

use crate::{
    dist_ac_support::{LIMIT, Members, atom},
    positions,
};

pub(crate) fn item_25_permit_false_where_it_runs(members: &mut Members) {
    for (app, [a, b, c]) in positions("i25") {
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        members.permit(a, &app, false);
        members.settles(&app, b, &[a, c]);
        let lines = [
            format!("{a} {{start,normal}}"),
            format!("{b} {{start,{{takeover,{a}}}}}"),
            format!("{a} prep_stop"),
            format!("{a} stop"),
        ];
        members.diary_is(&app, &lines.each_ref().map(String::as_str));
        members.stop_app(&app);
    }
}

pub(crate) fn item_26_permit_false_with_nobody_left(members: &mut Members) {
    for (app, [a, b, c]) in positions("i26") {
        members.start_app(&app, &[a, b, c]);
        members.settles(&app, a, &[b, c]);
        for node in [c, b, a] {
            members.runs_only_at(&app, &[a]);
            members.permit(node, &app, false);
        }
        members.runs_only_at(&app, &[]);
        for node in [a, b, c] {
            members.comes_to_id(node, &app, "undefined");
        }
        let lines = [format!("{a} {{start,normal}}"), format!("{a} prep_stop"), format!("{a} stop")];
        members.diary_is(&app, &lines.each_ref().map(String::as_str));
    }
}

pub(crate) fn item_27_permit_true(members: &mut Members) {
    for (app, [a, b, c]) in positions("i27") {
        for node in [a, b, c] {
            members.application(node, "load", vec![atom(&app)]);
            members.permit(node, &app, false);
            all_see(members, &app, node, "false");
        }
        // Nobody may: the calls say ok, and nothing runs.
        members.start_app(&app, &[a, b, c]);
        members.runs_only_at(&app, &[]);
        // When it runs nowhere, a normal start.
        members.permit(b, &app, true);
        members.settles(&app, b, &[a, c]);
        // One behind it in the list does not get it.
        members.permit(c, &app, true);
        all_see(members, &app, c, "true");
        members.settles(&app, b, &[a, c]);
        // One before it does.
        members.permit(a, &app, true);
        members.settles(&app, a, &[b, c]);
        let lines = [
            format!("{b} {{start,normal}}"),
            format!("{a} {{start,{{takeover,{b}}}}}"),
            format!("{b} prep_stop"),
            format!("{b} stop"),
        ];
        members.diary_is(&app, &lines.each_ref().map(String::as_str));
        members.stop_app(&app);
    }
}

/// All come to know the permission of one.
fn all_see(members: &Members, app: &str, of: &str, wanted: &str) {
    for node in ["r", "s", "t"] {
        let mut last = None;
        let seen = wait_for(LIMIT, || {
            last = members.permission(node, app, of);
            (last.as_deref() == Some(wanted)).then_some(())
        });
        assert!(seen.is_some(), "{app}: {node} has {last:?} for {of}, not {wanted}");
    }
}

pub(crate) fn item_28_forbidden_at_boot(members: &mut Members) {
    for node in ["r", "s", "t"] {
        assert_eq!(members.permission(node, "i28", node).as_deref(), Some("false"));
    }
    members.start_app("i28", &["r", "s", "t"]);
    pause(Duration::from_millis(200));
    members.runs_only_at("i28", &[]);
    members.permit("r", "i28", true);
    members.settles("i28", "r", &["s", "t"]);
    members.permit("s", "i28", true);
    members.settles("i28", "s", &["r", "t"]);
    members.diary_is("i28", &["r {start,normal}", "s {start,{takeover,r}}", "r prep_stop", "r stop"]);
    for node in ["r", "s"] {
        members.stop_app_at("i28", node);
        members.permit(node, "i28", false);
    }
}

pub(crate) fn item_29_permit_of_what_is_not_started(members: &mut Members) {
    for (app, node) in [("i29_a", "r"), ("i29_b", "s")] {
        let permit =
            |permission: bool| members.application(node, "permit", vec![atom(app), permission.into()]);
        assert_eq!(permit(false), format!("{{error,{{not_loaded,{app}}}}}"), "{node}");
        assert_eq!(members.application(node, "load", vec![atom(app)]), "ok");
        for permission in [false, true] {
            assert_eq!(permit(permission), "ok", "{node}");
            all_see(members, app, node, &permission.to_string());
        }
        pause(Duration::from_millis(100));
        members.runs_only_at(app, &[]);
        assert_eq!(members.id(node, app), "undefined");
    }
}
