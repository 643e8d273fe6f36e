use super::*;
use crate::text::parse_term;

fn text(format_and_args: &str) -> Result<String> {
    let Some((f, args)) = format_and_args.split_once(" <- ") else { panic!("{format_and_args}") };
    let args = parse_term(args).expect("a list");
    format(f, args.as_list().expect("a list"))
}

/// What `io_lib:format/2` gives. `interop-tests` asks each release the same, and more.
#[test]
fn each_control_sequence() {
    for (format, wanted) in [
        ("plain ~~ <- []", "plain ~"),
        ("~w|~p <- [\"ab\",\"ab\"]", "[97,98]|\"ab\""),
        ("~w ~w ~p <- ['A b',<<\"ab\">>,<<\"ab\">>]", "'A b' <<97,98>> <<\"ab\">>"),
        ("~p ~tp <- [[1046],[1046]]", "[1046] \"Ж\""),
        ("~p ~tp ~tw <- ['Ж','Ж','Ж']", "'\\x{416}' 'Ж' 'Ж'"),
        ("~lp <- [\"ab\"]", "[97,98]"),
        ("~s ~s ~s ~ts <- [a,\"b\",<<\"c\">>,<<\"å\"/utf8>>]", "a b c å"),
        (
            "[~5s][~-5s][~2s][~.2s][~5.2s][~-5.3.xs] <- [abc,abc,abc,abc,abc,a]",
            "[  abc][abc  ][ab][ab][   ab][axxxx]",
        ),
        ("[~5w][~-5w][~2w][~5.2.0w] <- [a,a,abc,abc]", "[    a][a    ][**][000**]"),
        ("~*c|~3c|~c <- [2,$a,$b,$c]", "aa|bbb|c"),
        ("~c ~tc <- [1046,1046]", "\u{16} Ж"),
        ("~n~2n <- []", "\n\n\n"),
        ("~i~w <- [a,b]", "b"),
        ("~f ~.2f ~10.3f|~-8.1f| <- [1.0,2.005,3.14159,1.25]", "1.000000 2.00      3.142|1.2     |"),
        ("~e ~.3e ~e <- [1.0,12345.678,1.0e-10]", "1.00000e+0 1.23e+4 1.00000e-10"),
        ("~g ~g ~g ~g <- [0.01,0.5,12.5,12345.0]", "1.00000e-2 0.500000 12.5000 1.23450e+4"),
        ("~b ~B ~.16b ~.16B ~.16# ~.16+ <- [-7,7,255,255,255,-255]", "-7 7 ff FF 16#FF -16#ff"),
        ("~.16x ~.10X ~5..0b <- [-31,\"0x\",5,a,42]", "-0x1f a5 00042"),
        ("~W ~W ~W ~W <- [[a,b,c,d],3,{a,b,c},2,[a],1,#{a => b},1]", "[a,b|...] {a,...} [...] #{}"),
        ("~P <- [#{a => [1,2]},9]", "#{a => [1,2]}"),
    ] {
        assert_eq!(text(format).as_deref(), Ok(wanted), "{format}");
    }
}

#[test]
fn a_long_term_is_broken_where_its_line_ends() {
    let long = "[\"aaaaaaaaaaaaaaaaaaaaaaaaa\",\"bbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"cccccccccccccccccccccccc\"]";
    let wanted = "term: [\"aaaaaaaaaaaaaaaaaaaaaaaaa\",\"bbbbbbbbbbbbbbbbbbbbbbbbbbb\",\n       \"cccccccccccccccccccccccc\"]";
    assert_eq!(text(&format!("term: ~p <- [{long}]")).as_deref(), Ok(wanted));
    assert_eq!(text(&format!("~0p <- [{long}]")).as_deref(), Ok(long));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for bad in [
        "~w <- []",
        "~w <- [a,b]",
        "~ <- []",
        "~10 <- []",
        "~q <- [a]",
        "~s <- [1]",
        "~s <- [[1046]]",
        "~c <- [a]",
        "~f <- [a]",
        "~.1e <- [1.0]",
        "~.37b <- [1]",
        "~b <- [1.0]",
        "~999999999999999999999c <- [$a]",
        "~99999999c <- [$a]",
        "~*c <- [a,$a]",
    ] {
        assert!(text(bad).is_err(), "{bad}: {:?}", text(bad));
    }
}
