//! Item 18: many nodes, and many at once.

use interop_tests::clock::now;

use crate::{
    members::{Members, t},
    peer_support::each_release,
};

const OURS: [&str; 9] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"];

#[test]
fn item_18_ten_nodes_join_at_once() {
    each_release(|otp| {
        let members = Members::start(otp, &["a"], &OURS);
        let started = now();
        let pid = members.sleeper("c5");
        assert!(members.register("c5", &t("early"), &pid));
        for node in OURS {
            members.connect(node, "a");
        }
        let all: Vec<&str> = OURS.iter().copied().chain(["a"]).collect();
        members.are_one(&all);
        eprintln!("OTP {}: ten nodes are one after {:?}", otp.number(), started.elapsed());
        members.all_have(&all, &t("early"), Some(&pid));
        assert!(members.register("a", &t("late"), &members.sleeper("c1")));
        members.nothing_is_wrong_but_for(&[]);
    });
}
