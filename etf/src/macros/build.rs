//! Building terms.

/// A term, written as in Erlang.
///
/// ```
/// use crabnode_etf::{Term, term, text::parse_term};
///
/// let name = "Joe";
/// let more = vec![Term::from(3)];
/// let term = term!({ok, #{name => <<(name)>>, says => "hi"}, [1, -2.5, fun lists:map/2 | (more)]});
/// assert_eq!(term, parse_term(r#"{ok, #{name => <<"Joe">>, says => "hi"}, [1, -2.5, fun lists:map/2, 3]}"#)?);
/// # Ok::<(), crabnode_etf::text::TextError>(())
/// ```
///
/// | Erlang | here |
/// |---|---|
/// | `ok` | the same: a word is an atom, whatever it is in Rust, as `true`, `end` and `type` |
/// | `'Elixir.Foo'` | `atom "Elixir.Foo"` |
/// | `1`, `-1`, `1.5` | the same |
/// | `"text"` | the same: a list of characters |
/// | `<<"text">>`, `<<1, 2>>` | the same |
/// | `<<Head/binary, 0>>` | `<<(head), 0>>`: anything that is `AsRef<[u8]>` |
/// | `{a, B}` | `{a, (b)}` |
/// | `[a, B \| Tail]` | `[a, (b) \| (tail)]` |
/// | `#{k => V}` | `#{k => (v)}`; of equal keys the last counts |
/// | `fun lists:map/2` | the same |
/// | `Variable` | `(expression)`: anything that becomes a [`Term`](crate::Term) |
///
/// What is Rust stands in parentheses, because a macro cannot tell a variable from an atom. As in Erlang, mind the
/// space in `<<"a">> => b`.
#[macro_export]
macro_rules! term {
    ({}) => { $crate::Term::tuple([]) };
    ({ $($all:tt)* }) => { $crate::__term_elements!(@tuple [] [] $($all)*) };
    ([]) => { $crate::Term::NIL };
    ([ $($all:tt)* ]) => { $crate::__term_elements!(@list [] [] $($all)*) };
    (# {}) => { $crate::Term::from($crate::Map::new()) };
    (# { $($all:tt)* }) => { $crate::__term_entries!(@key [] [] $($all)*) };
    (<< $($all:tt)*) => {{
        #[allow(unused_mut)]
        let mut bytes = ::std::vec::Vec::<u8>::new();
        $crate::__term_segments!(bytes $($all)*);
        $crate::Term::binary(bytes)
    }};
    (($value:expr)) => { $crate::Term::from($value) };
    (atom $text:literal) => { $crate::Term::atom($text) };
    (fun $module:ident : $function:ident / $arity:literal) => {
        $crate::Term::export(stringify!($module), stringify!($function), $arity)
    };
    ($word:ident) => { $crate::Term::atom(stringify!($word)) };
    ($value:literal) => { $crate::Term::from($crate::__macros::Literal($value)) };
}

/// The elements of a tuple or list: `@kind [those that are done] [tokens of the present one] the rest`.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_elements {
    // Elements of one token each take no recursion, however many they are.
    (@tuple [] [] $($one:tt),+ $(,)?) => { $crate::Term::tuple([$($crate::term!($one)),+]) };
    (@list [] [] $($one:tt),+ $(,)?) => { $crate::Term::from(vec![$($crate::term!($one)),+]) };

    (@tuple [$($done:expr,)*] []) => { $crate::Term::tuple([$($done),*]) };
    (@list [$($done:expr,)*] []) => { $crate::Term::from(vec![$($done),*]) };
    (@list [$($done:expr,)*] [$($now:tt)+] | $($tail:tt)+) => {
        $crate::Term::list_with_tail(vec![$($done,)* $crate::term!($($now)+)], $crate::term!($($tail)+))
    };
    (@$kind:ident [$($done:expr,)*] [$($now:tt)+] , $($rest:tt)*) => {
        $crate::__term_elements!(@$kind [$($done,)* $crate::term!($($now)+),] [] $($rest)*)
    };
    (@$kind:ident [$($done:expr,)*] [$($now:tt)+]) => {
        $crate::__term_elements!(@$kind [$($done,)* $crate::term!($($now)+),] [])
    };
    // The commas of a binary are its own.
    (@$kind:ident $done:tt [] << $($rest:tt)*) => {
        $crate::__term_elements!(@in_binary $kind $done [<<] $($rest)*)
    };
    (@in_binary $kind:ident $done:tt [$($now:tt)*] >> $($rest:tt)*) => {
        $crate::__term_elements!(@$kind $done [$($now)* >>] $($rest)*)
    };
    (@in_binary $kind:ident $done:tt [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_elements!(@in_binary $kind $done [$($now)* $next] $($rest)*)
    };
    (@$kind:ident $done:tt [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_elements!(@$kind $done [$($now)* $next] $($rest)*)
    };
}

/// The entries of a map: `@key [those that are done] [tokens of the key] the rest`, and `@value` with the key before.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_entries {
    (@key [$($done:expr,)*] []) => {
        $crate::Term::from([$($done),*].into_iter().collect::<$crate::Map>())
    };
    (@key $done:tt [$($key:tt)+] => $($rest:tt)+) => {
        $crate::__term_entries!(@value [$($key)+] $done [] $($rest)+)
    };
    (@value [$($key:tt)+] [$($done:expr,)*] [$($now:tt)+] , $($rest:tt)*) => {
        $crate::__term_entries!(
            @key [$($done,)* ($crate::term!($($key)+), $crate::term!($($now)+)),] [] $($rest)*
        )
    };
    (@value [$($key:tt)+] [$($done:expr,)*] [$($now:tt)+]) => {
        $crate::__term_entries!(@key [$($done,)* ($crate::term!($($key)+), $crate::term!($($now)+)),] [])
    };
    (@key $done:tt [] << $($rest:tt)*) => {
        $crate::__term_entries!(@in_binary [key] $done [<<] $($rest)*)
    };
    (@value $key:tt $done:tt [] << $($rest:tt)*) => {
        $crate::__term_entries!(@in_binary [value $key] $done [<<] $($rest)*)
    };
    (@in_binary [$state:ident $($key:tt)?] $done:tt [$($now:tt)*] >> $($rest:tt)*) => {
        $crate::__term_entries!(@$state $($key)? $done [$($now)* >>] $($rest)*)
    };
    (@in_binary $state:tt $done:tt [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_entries!(@in_binary $state $done [$($now)* $next] $($rest)*)
    };
    (@key $done:tt [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_entries!(@key $done [$($now)* $next] $($rest)*)
    };
    (@value $key:tt $done:tt [$($now:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__term_entries!(@value $key $done [$($now)* $next] $($rest)*)
    };
}

/// The segments of a binary, to its `>>`.
#[doc(hidden)]
#[macro_export]
macro_rules! __term_segments {
    ($bytes:ident >>) => {};
    ($bytes:ident ($value:expr) , $($rest:tt)+) => {
        $bytes.extend_from_slice(::std::convert::AsRef::<[u8]>::as_ref(&$value));
        $crate::__term_segments!($bytes $($rest)+)
    };
    ($bytes:ident ($value:expr) >>) => { $crate::__term_segments!($bytes ($value), >>) };
    ($bytes:ident $value:literal , $($rest:tt)+) => {
        $crate::__macros::Segment::add_to(&$crate::__macros::Literal($value), &mut $bytes);
        $crate::__term_segments!($bytes $($rest)+)
    };
    ($bytes:ident $value:literal >>) => { $crate::__term_segments!($bytes $value, >>) };
}
