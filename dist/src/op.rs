//! The operations of the distribution protocol, one row each (wire.md 5).

/// An operation: what the first element of a control tuple says.
///
/// The discriminant is the number on the wire. Number 5 was removed from the protocol, 9 to 11, 14, 15 and 17
/// never came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Op {
    /// A process links to another.
    Link = 1,
    /// A message to a pid, without its sender.
    Send = 2,
    /// A linked process ended; the reason is in the control tuple.
    Exit = 3,
    /// A link is taken back, before OTP 26.
    Unlink = 4,
    /// A message to a registered name.
    RegSend = 6,
    /// A process gets another group leader.
    GroupLeader = 7,
    /// `exit/2`; the reason is in the control tuple.
    Exit2 = 8,
    /// [`Op::Send`] with a sequential trace token.
    SendTt = 12,
    /// [`Op::Exit`] with a sequential trace token.
    ExitTt = 13,
    /// [`Op::RegSend`] with a sequential trace token.
    RegSendTt = 16,
    /// [`Op::Exit2`] with a sequential trace token.
    Exit2Tt = 18,
    /// A process monitors a pid or a name.
    MonitorP = 19,
    /// A monitor is taken back.
    DemonitorP = 20,
    /// A monitored process ended; the reason is in the control tuple.
    MonitorPExit = 21,
    /// A message to a pid, with its sender.
    SendSender = 22,
    /// [`Op::SendSender`] with a sequential trace token.
    SendSenderTt = 23,
    /// A linked process ended; the reason is the payload.
    PayloadExit = 24,
    /// [`Op::PayloadExit`] with a sequential trace token.
    PayloadExitTt = 25,
    /// `exit/2`; the reason is the payload.
    PayloadExit2 = 26,
    /// [`Op::PayloadExit2`] with a sequential trace token.
    PayloadExit2Tt = 27,
    /// A monitored process ended; the reason is the payload.
    PayloadMonitorPExit = 28,
    /// `spawn_request`; the argument list is the payload.
    SpawnRequest = 29,
    /// [`Op::SpawnRequest`] with a sequential trace token.
    SpawnRequestTt = 30,
    /// The answer to a spawn request.
    SpawnReply = 31,
    /// [`Op::SpawnReply`] with a sequential trace token.
    SpawnReplyTt = 32,
    /// A message to an alias.
    AliasSend = 33,
    /// [`Op::AliasSend`] with a sequential trace token.
    AliasSendTt = 34,
    /// A link is taken back, and an acknowledgement asked for.
    UnlinkId = 35,
    /// The acknowledgement of [`Op::UnlinkId`].
    UnlinkIdAck = 36,
    /// A message or exit signal with flags: priority, to an alias, to a name (OTP 28).
    AltactSigSend = 37,
}

/// What is known of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRow {
    /// The operation.
    pub op: Op,
    /// OTP's name, without the `DOP_` in front.
    pub name: &'static str,
    /// How many elements the control tuple has, the number included.
    pub arity: Arity,
    /// Whether a payload term follows the control tuple.
    pub payload: bool,
}

/// How many elements a control tuple has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// So many, and any other number is an error.
    Exactly(u8),
    /// So many or more; those beyond are of later releases, and ignored.
    AtLeast(u8),
}

impl Arity {
    /// Whether a tuple of this size is of this arity.
    #[must_use]
    pub const fn allows(self, size: usize) -> bool {
        match self {
            Self::Exactly(arity) => size == arity as usize,
            Self::AtLeast(arity) => size >= arity as usize,
        }
    }
}

impl std::fmt::Display for Arity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(arity) => write!(f, "{arity}"),
            Self::AtLeast(arity) => write!(f, "at least {arity}"),
        }
    }
}

/// The table of wire.md 5.
pub const OPS: &[OpRow] = &[
    row(Op::Link, "LINK", 3, false),
    row(Op::Send, "SEND", 3, true),
    row(Op::Exit, "EXIT", 4, false),
    row(Op::Unlink, "UNLINK", 3, false),
    row(Op::RegSend, "REG_SEND", 4, true),
    row(Op::GroupLeader, "GROUP_LEADER", 3, false),
    row(Op::Exit2, "EXIT2", 4, false),
    row(Op::SendTt, "SEND_TT", 4, true),
    row(Op::ExitTt, "EXIT_TT", 5, false),
    row(Op::RegSendTt, "REG_SEND_TT", 5, true),
    row(Op::Exit2Tt, "EXIT2_TT", 5, false),
    row(Op::MonitorP, "MONITOR_P", 4, false),
    row(Op::DemonitorP, "DEMONITOR_P", 4, false),
    row(Op::MonitorPExit, "MONITOR_P_EXIT", 5, false),
    row(Op::SendSender, "SEND_SENDER", 3, true),
    row(Op::SendSenderTt, "SEND_SENDER_TT", 4, true),
    row(Op::PayloadExit, "PAYLOAD_EXIT", 3, true),
    row(Op::PayloadExitTt, "PAYLOAD_EXIT_TT", 4, true),
    row(Op::PayloadExit2, "PAYLOAD_EXIT2", 3, true),
    row(Op::PayloadExit2Tt, "PAYLOAD_EXIT2_TT", 4, true),
    row(Op::PayloadMonitorPExit, "PAYLOAD_MONITOR_P_EXIT", 4, true),
    row(Op::SpawnRequest, "SPAWN_REQUEST", 6, true),
    row(Op::SpawnRequestTt, "SPAWN_REQUEST_TT", 7, true),
    row(Op::SpawnReply, "SPAWN_REPLY", 5, false),
    row(Op::SpawnReplyTt, "SPAWN_REPLY_TT", 6, false),
    row(Op::AliasSend, "ALIAS_SEND", 3, true),
    row(Op::AliasSendTt, "ALIAS_SEND_TT", 4, true),
    row(Op::UnlinkId, "UNLINK_ID", 4, false),
    row(Op::UnlinkIdAck, "UNLINK_ID_ACK", 4, false),
    OpRow { op: Op::AltactSigSend, name: "ALTACT_SIG_SEND", arity: Arity::AtLeast(4), payload: true },
];

const fn row(op: Op, name: &'static str, arity: u8, payload: bool) -> OpRow {
    OpRow { op, name, arity: Arity::Exactly(arity), payload }
}

/// The row of each number; a message must not pay for a search.
const ROW_OF_NUMBER: [Option<&OpRow>; 38] = {
    let mut rows = [None; 38];
    let mut at = 0;
    while at < OPS.len() {
        rows[OPS[at].op as usize] = Some(&OPS[at]);
        at += 1;
    }
    rows
};

impl Op {
    /// The operation of a number, or nothing for a number that no release has.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        let row = ROW_OF_NUMBER.get(usize::try_from(number).ok()?)?;
        row.map(|row| row.op)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What is known of the operation.
    #[must_use]
    pub fn row(self) -> &'static OpRow {
        ROW_OF_NUMBER[usize::from(self.number())].expect("every operation has a row: a test counts them")
    }

    /// OTP's name, without the `DOP_` in front.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether a payload term follows the control tuple.
    #[must_use]
    pub fn has_payload(self) -> bool {
        self.row().payload
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `enum dop` of OTP 28's `dist.h`, by hand.
    const DIST_H: &[(u8, &str)] = &[
        (1, "LINK"),
        (2, "SEND"),
        (3, "EXIT"),
        (4, "UNLINK"),
        (6, "REG_SEND"),
        (7, "GROUP_LEADER"),
        (8, "EXIT2"),
        (12, "SEND_TT"),
        (13, "EXIT_TT"),
        (16, "REG_SEND_TT"),
        (18, "EXIT2_TT"),
        (19, "MONITOR_P"),
        (20, "DEMONITOR_P"),
        (21, "MONITOR_P_EXIT"),
        (22, "SEND_SENDER"),
        (23, "SEND_SENDER_TT"),
        (24, "PAYLOAD_EXIT"),
        (25, "PAYLOAD_EXIT_TT"),
        (26, "PAYLOAD_EXIT2"),
        (27, "PAYLOAD_EXIT2_TT"),
        (28, "PAYLOAD_MONITOR_P_EXIT"),
        (29, "SPAWN_REQUEST"),
        (30, "SPAWN_REQUEST_TT"),
        (31, "SPAWN_REPLY"),
        (32, "SPAWN_REPLY_TT"),
        (33, "ALIAS_SEND"),
        (34, "ALIAS_SEND_TT"),
        (35, "UNLINK_ID"),
        (36, "UNLINK_ID_ACK"),
        (37, "ALTACT_SIG_SEND"),
    ];

    #[test]
    fn numbers_and_names_are_otps() {
        let ours: Vec<_> = OPS.iter().map(|row| (row.op.number(), row.name)).collect();
        assert_eq!(ours, DIST_H);
    }

    #[test]
    fn a_number_is_an_operation_exactly_if_it_has_a_row() {
        for number in -3..300 {
            let row = OPS.iter().find(|row| i64::from(row.op.number()) == number);
            assert_eq!(Op::from_number(number), row.map(|row| row.op), "{number}");
        }
        assert_eq!(Op::from_number(i64::MAX), None);
        assert_eq!(Op::from_number(i64::MIN), None);
    }

    #[test]
    fn a_row_is_found_from_its_operation() {
        for row in OPS {
            assert_eq!(row.op.row(), row);
        }
    }
}
