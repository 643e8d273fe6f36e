//! Matching terms.

/// Goes by what a term is, with patterns written as in Erlang that bind Rust variables.
///
/// ```
/// use crabnode_etf::{Pid, Term, match_term, term};
///
/// fn handle(request: &Term) -> String {
///     match_term!(request,
///         {add, (a: i64), (b: i64)} if a.checked_add(b).is_some() => format!("{}", a + b),
///         {add, _, _} => "no numbers that can be added".into(),
///         #{name => (name: &str), langs => [(first) | (others)]} => {
///             format!("{name} speaks {first} and {} more", others.len())
///         }
///         {atom "$gen_call", {(_: &Pid), [alias | _]}, (message)} => format!("asked {message}"),
///         <<"GET ", (path)>> => String::from_utf8_lossy(path).into_owned(),
///         stop => "stopping".into(),
///         _ => "unknown".into(),
///     )
/// }
///
/// assert_eq!(handle(&term!({add, 1, 2})), "3");
/// assert_eq!(handle(&term!({add, 1, <<"2">>})), "no numbers that can be added");
/// assert_eq!(handle(&term!(#{name => <<"Joe">>, langs => [erlang, prolog], age => 3})), "Joe speaks erlang and 1 more");
/// assert_eq!(handle(&term!(<<"GET /index">>)), "/index");
/// assert_eq!(handle(&term!(stop)), "stopping");
/// ```
///
/// The first argument is a `&Term`, which the variables borrow from; the arms are tried in order, the last is
/// `_ => ...`. A pattern is a term as [`term!`](crate::term) takes it, in which may stand
///
/// | pattern | matches |
/// |---|---|
/// | `_` | anything |
/// | `(name)` | anything, and binds it as `&Term` |
/// | `(name: Type)` | what the type takes ([`FromTerm`](crate::FromTerm)), and binds it as that |
/// | `(name @ pattern)` | what the pattern matches, and binds it as `&Term` |
/// | `(== expression)` | a term that is equal (`=:=`) to what the expression becomes |
/// | `{a, _}` | a tuple of that size |
/// | `[a, _]` | a proper list of that length |
/// | `[a \| (tail)]` | a proper list that starts so; `tail` is the `&[Term]` after it |
/// | `[a \| (tail: Type)]` | as well a list whose tail is of that type, as in `[alias \| (tag: &Reference)]` |
/// | `#{k => pattern}` | a map that has the key, among others; a key from Rust is `(== expression)` |
/// | `<<"head", (rest)>>` | a binary that starts so; `rest` is the `&[u8]` after it |
#[macro_export]
macro_rules! match_term {
    ($term:expr, $($arms:tt)+) => {{
        let __subject: &$crate::Term = $term;
        $crate::__match_arms!(__subject [] $($arms)+)
    }};
}

/// Whether a term matches a pattern, as of [`match_term!`](crate::match_term). The pattern may have a guard, which
/// sees what it binds.
///
/// ```
/// use crabnode_etf::{matches_term, term};
///
/// let reply = term!({ok, 42});
/// assert!(matches_term!(&reply, {ok, _}));
/// assert!(matches_term!(&reply, {ok, (n: u8)} if n > 40));
/// assert!(!matches_term!(&reply, {error, _}));
/// ```
#[macro_export]
macro_rules! matches_term {
    ($term:expr, $($pattern:tt)+) => {{
        let __subject: &$crate::Term = $term;
        $crate::__match_arms!(__subject [] $($pattern)+ => true, _ => false)
    }};
}

/// Binds what a pattern of [`match_term!`](crate::match_term) names, or leaves by `else`, as Rust's `let ... else`
/// does.
///
/// ```
/// use crabnode_etf::{Term, let_term, term};
///
/// fn value(reply: &Term) -> Result<i64, &Term> {
///     let_term!({ok, (value: i64)} = reply, else { return Err(reply) });
///     Ok(value)
/// }
///
/// assert_eq!(value(&term!({ok, 1})), Ok(1));
/// assert_eq!(value(&term!({error, enoent})), Err(&term!({error, enoent})));
/// ```
#[macro_export]
macro_rules! let_term {
    ($($all:tt)+) => { $crate::__let_term!([] $($all)+); };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __let_term {
    ([$($pattern:tt)+] = $term:expr, else $else:tt) => {
        let __subject: &$crate::Term = $term;
        let ::std::option::Option::Some($crate::__match_names!($($pattern)+)) =
            $crate::__match_values!(__subject true; $($pattern)+)
        else $else;
    };
    ([$($pattern:tt)*] $next:tt $($rest:tt)+) => { $crate::__let_term!([$($pattern)* $next] $($rest)+); };
}

/// One arm after the other: `subject [tokens of the pattern] the rest`.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_arms {
    ($subject:ident [] _ => $body:expr $(,)?) => { $body };
    // Most patterns are one token, which spares the recursion below.
    ($subject:ident [] $pattern:tt => $($rest:tt)+) => {
        $crate::__match_arms!(@body $subject [$pattern] $($rest)+)
    };
    ($subject:ident [$($pattern:tt)+] => $($rest:tt)+) => {
        $crate::__match_arms!(@body $subject [$($pattern)+] $($rest)+)
    };
    ($subject:ident [$($pattern:tt)+] if $guard:expr => $($rest:tt)+) => {
        $crate::__match_arms!(@body $subject [$($pattern)+] if $guard => $($rest)+)
    };
    ($subject:ident [$($pattern:tt)*] $next:tt $($rest:tt)+) => {
        $crate::__match_arms!($subject [$($pattern)* $next] $($rest)+)
    };

    (@body $subject:ident $pattern:tt if $guard:expr => $body:block , $($rest:tt)+) => {
        $crate::__match_arm!($subject $pattern if $guard => $body => $($rest)+)
    };
    (@body $subject:ident $pattern:tt if $guard:expr => $body:block $($rest:tt)+) => {
        $crate::__match_arm!($subject $pattern if $guard => $body => $($rest)+)
    };
    (@body $subject:ident $pattern:tt if $guard:expr => $body:expr , $($rest:tt)+) => {
        $crate::__match_arm!($subject $pattern if $guard => $body => $($rest)+)
    };
    (@body $subject:ident $pattern:tt $body:block , $($rest:tt)+) => {
        $crate::__match_arm!($subject $pattern $body => $($rest)+)
    };
    (@body $subject:ident $pattern:tt $body:block $($rest:tt)+) => {
        $crate::__match_arm!($subject $pattern $body => $($rest)+)
    };
    (@body $subject:ident $pattern:tt $body:expr , $($rest:tt)+) => {
        $crate::__match_arm!($subject $pattern $body => $($rest)+)
    };
}

/// One arm, and in its place the others if it does not match.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_arm {
    ($subject:ident [$($pattern:tt)+] if $guard:expr => $body:expr => $($rest:tt)+) => {
        match $crate::__match_values!($subject $guard; $($pattern)+) {
            // What is bound may be for the guard alone.
            #[allow(unused_variables)]
            ::std::option::Option::Some($crate::__match_names!($($pattern)+)) => $body,
            ::std::option::Option::None => $crate::__match_arms!($subject [] $($rest)+),
        }
    };
    ($subject:ident [$($pattern:tt)+] $body:expr => $($rest:tt)+) => {
        match $crate::__match_values!($subject true; $($pattern)+) {
            ::std::option::Option::Some($crate::__match_names!($($pattern)+)) => $body,
            ::std::option::Option::None => $crate::__match_arms!($subject [] $($rest)+),
        }
    };
}

/// What the names of a pattern are bound to, if it matches and the guard holds.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_values {
    ($subject:ident $guard:expr; $($pattern:tt)+) => {
        '__values: {
            $crate::__match_pattern!({ break '__values ::std::option::Option::None } $subject $($pattern)+);
            if !$guard {
                break '__values ::std::option::Option::None;
            }
            ::std::option::Option::Some($crate::__match_names!($($pattern)+))
        }
    };
}

/// The names that a pattern binds, in tuples: a pattern where one is wanted, else their values.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_names {
    ($($part:tt)*) => { ($($crate::__match_name!($part),)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __match_name {
    (($name:ident)) => { $name };
    (($name:ident : $type:ty)) => { $name };
    (($name:ident @ $($pattern:tt)+)) => { ($name, $crate::__match_names!($($pattern)+)) };
    ({ $($part:tt)* }) => { $crate::__match_names!($($part)*) };
    ([ $($part:tt)* ]) => { $crate::__match_names!($($part)*) };
    ($other:tt) => { () };
}

/// Binds or leaves: `{ how to leave } subject pattern`.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_pattern {
    ($fail:tt $subject:ident _) => {};
    ($fail:tt $subject:ident (_ : $type:ty)) => {
        if <$type as $crate::FromTerm<'_>>::from_term($subject).is_none() $fail
    };
    ($fail:tt $subject:ident ($name:ident)) => { let $name = $subject; };
    ($fail:tt $subject:ident ($name:ident : $type:ty)) => {
        let Some($name) = <$type as $crate::FromTerm<'_>>::from_term($subject) else $fail;
    };
    ($fail:tt $subject:ident ($name:ident @ $($pattern:tt)+)) => {
        $crate::__match_pattern!($fail $subject $($pattern)+);
        let $name = $subject;
    };
    ($fail:tt $subject:ident (== $value:expr)) => {
        if !$crate::__macros::is_equal($subject, $value) $fail
    };
    ($fail:tt $subject:ident { $($all:tt)* }) => {
        let Some(__elements) = $subject.as_tuple() else $fail;
        let __cells = $crate::__macros::Cells::of_tuple(__elements);
        $crate::__match_elements!($fail __cells [] $($all)*);
    };
    ($fail:tt $subject:ident [ $($all:tt)* ]) => {
        let Some(__cells) = $crate::__macros::Cells::of_list($subject) else $fail;
        $crate::__match_elements!($fail __cells [] $($all)*);
    };
    ($fail:tt $subject:ident # { $($all:tt)* }) => {
        let Some(__map) = $subject.as_map() else $fail;
        $crate::__match_entries!(@key $fail __map [] $($all)*);
    };
    ($fail:tt $subject:ident << $($all:tt)*) => {
        let Some(__binary) = $subject.as_binary() else $fail;
        let __bytes: &[u8] = __binary;
        $crate::__match_segments!($fail __bytes $($all)*);
    };
    ($fail:tt $subject:ident $($value:tt)+) => {
        if !$crate::__macros::is_equal($subject, $crate::term!($($value)+)) $fail
    };
}

/// The elements of a tuple or list: `{ how to leave } cells [tokens of the present one] the rest`.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_elements {
    ($fail:tt $cells:ident []) => {
        if !$cells.is_end() $fail
    };
    ($fail:tt $cells:ident [$($now:tt)+] | $($tail:tt)+) => {
        let Some((__first, __cells)) = $cells.split_first() else $fail;
        $crate::__match_pattern!($fail __first $($now)+);
        $crate::__match_tail!($fail __cells $($tail)+);
    };
    ($fail:tt $cells:ident [$($now:tt)+] , $($rest:tt)*) => {
        let Some((__first, __cells)) = $cells.split_first() else $fail;
        $crate::__match_pattern!($fail __first $($now)+);
        $crate::__match_elements!($fail __cells [] $($rest)*);
    };
    ($fail:tt $cells:ident [$($now:tt)+]) => {
        $crate::__match_elements!($fail $cells [$($now)+] ,);
    };
    ($fail:tt $cells:ident [] << $($rest:tt)*) => {
        $crate::__match_elements!(@in_binary $fail $cells [<<] $($rest)*);
    };
    (@in_binary $fail:tt $cells:ident [$($now:tt)*] >> $($rest:tt)*) => {
        $crate::__match_elements!($fail $cells [$($now)* >>] $($rest)*);
    };
    (@in_binary $fail:tt $cells:ident [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__match_elements!(@in_binary $fail $cells [$($now)* $next] $($rest)*);
    };
    ($fail:tt $cells:ident [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__match_elements!($fail $cells [$($now)* $next] $($rest)*);
    };
}

/// What comes after the `|` of a list.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_tail {
    ($fail:tt $cells:ident _) => {};
    ($fail:tt $cells:ident ($name:ident)) => {
        let Some($name) = $cells.proper() else $fail;
    };
    ($fail:tt $cells:ident (_ : $type:ty)) => {
        if $cells.tail::<$type>().is_none() $fail
    };
    ($fail:tt $cells:ident ($name:ident : $type:ty)) => {
        let Some($name) = $cells.tail::<$type>() else $fail;
    };
    ($fail:tt $cells:ident [ $($all:tt)* ]) => { $crate::__match_elements!($fail $cells [] $($all)*); };
    ($fail:tt $cells:ident $($pattern:tt)+) => {
        let Some(__tail) = $cells.improper() else $fail;
        $crate::__match_pattern!($fail __tail $($pattern)+);
    };
}

/// The entries of a map: `@key { how to leave } map [tokens of the key] the rest`, and `@value` with the key before.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_entries {
    (@key $fail:tt $map:ident []) => {};
    (@key $fail:tt $map:ident [$($key:tt)+] => $($rest:tt)+) => {
        $crate::__match_entries!(@value [$($key)+] $fail $map [] $($rest)+);
    };
    (@value [$($key:tt)+] $fail:tt $map:ident [$($now:tt)+] , $($rest:tt)*) => {
        let Some(__value) = $crate::__match_key!($map $($key)+) else $fail;
        $crate::__match_pattern!($fail __value $($now)+);
        $crate::__match_entries!(@key $fail $map [] $($rest)*);
    };
    (@value $key:tt $fail:tt $map:ident [$($now:tt)+]) => {
        $crate::__match_entries!(@value $key $fail $map [$($now)+] ,);
    };
    (@key $fail:tt $map:ident [] << $($rest:tt)*) => {
        $crate::__match_entries!(@in_binary [key] $fail $map [<<] $($rest)*);
    };
    (@value $key:tt $fail:tt $map:ident [] << $($rest:tt)*) => {
        $crate::__match_entries!(@in_binary [value $key] $fail $map [<<] $($rest)*);
    };
    (@in_binary [$state:ident $($key:tt)?] $fail:tt $map:ident [$($now:tt)*] >> $($rest:tt)*) => {
        $crate::__match_entries!(@$state $($key)? $fail $map [$($now)* >>] $($rest)*);
    };
    (@in_binary $state:tt $fail:tt $map:ident [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__match_entries!(@in_binary $state $fail $map [$($now)* $next] $($rest)*);
    };
    (@key $fail:tt $map:ident [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__match_entries!(@key $fail $map [$($now)* $next] $($rest)*);
    };
    (@value $key:tt $fail:tt $map:ident [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__match_entries!(@value $key $fail $map [$($now)* $next] $($rest)*);
    };
}

/// A map's value by its key.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_key {
    ($map:ident $word:ident) => { $map.get_atom(stringify!($word)) };
    ($map:ident (== $value:expr)) => { $map.get(&$crate::Term::from($value)) };
    ($map:ident $($key:tt)+) => { $map.get(&$crate::term!($($key)+)) };
}

/// The segments of a binary, to its `>>`.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_segments {
    ($fail:tt $bytes:ident >>) => {
        if !$bytes.is_empty() $fail
    };
    ($fail:tt $bytes:ident _ >>) => {};
    ($fail:tt $bytes:ident ($name:ident) >>) => { let $name = $bytes; };
    ($fail:tt $bytes:ident $value:literal , $($rest:tt)+) => {
        let __head = $crate::__macros::Literal($value);
        let Some(__bytes) = $crate::__macros::after($bytes, &__head) else $fail;
        $crate::__match_segments!($fail __bytes $($rest)+);
    };
    ($fail:tt $bytes:ident $value:literal >>) => { $crate::__match_segments!($fail $bytes $value, >>); };
}
