defmodule Chucky.MixProject do
  use Mix.Project

  def project do
    [app: :chucky, version: "1.0.0", elixir: "~> 1.10", deps: []]
  end

  def application do
    [mod: {Chucky, []}, registered: [Chucky.Server]]
  end
end
