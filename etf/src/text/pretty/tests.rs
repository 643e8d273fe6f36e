use super::*;
use crate::text::parse_term;

/// As OTP 29 prints them by `~ktp`.
#[test]
fn long_terms_take_lines() {
    let cases: [(&str, &[&str]); 6] = [
        (
            r#"[{kernel,[{distributed,[{m8ball,5000,['a@127.0.0.1',{b@h,c@h}]}]},{sync_nodes_mandatory,[b@h,c@h]}]},{sasl,[]}]"#,
            &[
                r#"[{kernel,[{distributed,[{m8ball,5000,['a@127.0.0.1',{b@h,c@h}]}]},"#,
                r#"          {sync_nodes_mandatory,[b@h,c@h]}]},"#,
                r#" {sasl,[]}]"#,
            ],
        ),
        (
            r#"#{children => [#{id => worker,start => {worker,start_link,[5000,"some text"]}}],shutdown => brutal_kill,strategy => one_for_one}"#,
            &[
                r#"#{children =>"#,
                r#"      [#{id => worker,start => {worker,start_link,[5000,"some text"]}}],"#,
                r#"  shutdown => brutal_kill,strategy => one_for_one}"#,
            ],
        ),
        (
            r#"{a_very_long_tag_that_leads_too_far_to_the_right_of_the_line,[{b,"0123456789012345678901234567890123456789"}],{c}}"#,
            &[
                r#"{a_very_long_tag_that_leads_too_far_to_the_right_of_the_line,"#,
                r#"    [{b,"0123456789012345678901234567890123456789"}],"#,
                r#"    {c}}"#,
            ],
        ),
        (
            r#"[1000000,2000000,3000000,4000000,5000000,6000000,7000000,8000000,9000000,10000000,[11000000|tail]|an_improper_tail]"#,
            &[
                r#"[1000000,2000000,3000000,4000000,5000000,6000000,7000000,8000000,9000000,"#,
                r#" 10000000,"#,
                r#" [11000000|tail]|"#,
                r#" an_improper_tail]"#,
            ],
        ),
        (
            r#"{data,<<0,1,2,3,4,5,6,7,8,9,100,101,102,103,104,105,106,107,108,109,110,111,112,113,114,115,116,117,118,119,120,5:3>>}"#,
            &[
                r#"{data,<<0,1,2,3,4,5,6,7,8,9,100,101,102,103,104,105,106,107,108,109,110,111,"#,
                r#"        112,113,114,115,116,117,118,119,120,5:3>>}"#,
            ],
        ),
        (
            r#"#{b => <<"text">>,c => [],{key,[1,2,3]} => "01234567890123456789012345678901234567890123456789012345678901234567890123456789"}"#,
            &[
                r#"#{b => <<"text">>,c => [],"#,
                r#"  {key,[1,2,3]} =>"#,
                r#"      "01234567890123456789012345678901234567890123456789012345678901234567890123456789"}"#,
            ],
        ),
    ];
    for (text, lines) in cases {
        let term = parse_term(text).unwrap();
        assert_eq!(format!("{term:#}"), lines.join("\n"));
        assert_eq!(parse_term(&format!("{term:#}")).unwrap(), term);
        assert_eq!(term.to_string(), text);
    }
}

#[test]
fn short_terms_take_one_line() {
    let of = |len: usize| format!("{{{}}}", "a".repeat(len - 2));
    for len in [2, 78] {
        assert_eq!(format!("{:#}", parse_term(&of(len)).unwrap()), of(len));
    }
    let (a, b) = ("a".repeat(38), "b".repeat(38));
    assert_eq!(format!("{:#}", parse_term(&format!("[{a},{b}]")).unwrap()), format!("[{a},\n {b}]"));
}

#[test]
fn deep_terms_take_one_line() {
    let deep = |levels: usize| {
        let term = parse_term(&format!("{}b{}", "[a,".repeat(levels), "]".repeat(levels)));
        format!("{:#}", term.unwrap()).contains('\n')
    };
    assert!(deep(LEVELS_MAX - 1));
    assert!(!deep(LEVELS_MAX));
    assert!(!deep(10_000));
}
