import { Anchor, Button, Group, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";

import { addressOf } from "../api/client";
import { signOut } from "../api/session";
import icon from "../icon.svg";

const PLACES = [
  { href: "/jobs", label: "Jobs" },
  { href: "/datasets", label: "Datasets" },
  { href: "/compare", label: "Compare" },
];

/** Where one is, where one can go, and how it looks. */
export function TopBar() {
  const [location] = useLocation();
  const queries = useQueryClient();
  const leave = async () => {
    await signOut();
    queries.setQueryData(["session"], null);
    // The view that shows the session watches its entry, so that one stays.
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
  };
  return (
    <header className="bar">
      <div className="bar-inner">
        <Link href="/jobs" className="brand">
          <img src={icon} alt="" />
          Winnow
        </Link>
        <nav aria-label="Main">
          {PLACES.map(({ href, label }) => (
            <Link
              key={href}
              href={href}
              className="nav-link"
              aria-current={isAt(location, href) ? "page" : undefined}
            >
              {label}
            </Link>
          ))}
        </nav>
        <Group gap="xs" ml="auto">
          <Anchor href={addressOf("docs")} size="sm" c="dimmed">
            API
          </Anchor>
          <SchemeButton />
          <Button size="xs" variant="subtle" color="gray" c="dimmed" onClick={() => void leave()}>
            Sign out
          </Button>
        </Group>
      </div>
    </header>
  );
}

const isAt = (location: string, href: string) =>
  location.startsWith(href) || (href === "/jobs" && location === "/");

function SchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const other = useComputedColorScheme("light") === "light" ? "dark" : "light";
  return (
    <Button
      size="xs"
      variant="default"
      onClick={() => setColorScheme(other)}
      aria-label={`Use ${other} colours`}
    >
      {other === "dark" ? "Dark" : "Light"}
    </Button>
  );
}
